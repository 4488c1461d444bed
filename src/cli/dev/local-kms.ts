// The local KMS as the owner of a key uses it: key management calls over the protocol of KMS, to this machine only.
import { MissingPrerequisiteError } from '../failure.ts';

type Body = Readonly<Record<string, unknown>>;

/** KMS rejected a call; `name` is the error name of KMS. */
export class RejectedCall extends MissingPrerequisiteError {
  override readonly name: string;

  constructor(operation: string, name: string) {
    super(`The local KMS rejected ${operation} (${name}).`);
    this.name = name;
  }
}

/** An address of this machine: `http://127.0.0.1:9472`. */
export function isLoopback(endpoint: string): boolean {
  const url = URL.parse(endpoint);
  return url?.protocol === 'http:' && /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})$/.test(url.hostname);
}

const DEADLINE_MS = 5000;

/** The account of the key, whose own policies never deny anything. */
const ownerOf = (keyArn: string): string => `arn:aws:iam::${keyArn.split(':')[4]}:user/key-owner`;

/**
 * Calls the local KMS about one key as the owner of the key. Signatures are not checked there, so none is made.
 * @throws RejectedCall; TypeError without a server at `endpoint`
 */
export async function callLocalKms(
  endpoint: string,
  keyArn: string,
  operation: string,
  input: Body = {},
): Promise<Body> {
  const response = await fetch(endpoint, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(DEADLINE_MS),
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${operation}`,
      authorization: `AWS4-HMAC-SHA256 Credential=${ownerOf(keyArn)}/20260101/local/kms/aws4_request`,
    },
    body: JSON.stringify({ KeyId: keyArn, ...input }),
  });
  const body = (await response.json()) as Body;
  if (!response.ok) throw new RejectedCall(operation, String(body['__type']));
  return body;
}
