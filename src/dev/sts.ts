// The local STS: says who asks, as @aws-sdk/client-sts wants to hear it. Part of the local KMS, at the same address.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

export const isSts = ({ headers }: IncomingMessage): boolean =>
  headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;

const ACCOUNT = '111122223333';

/** GetCallerIdentity, whatever was asked. */
export function answerSts(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const [, id = 'nobody'] = /Credential=([^/]{1,64})\//.exec(request.headers.authorization ?? '') ?? [];
  const user = id.replaceAll(/[^\w+=,.@-]/g, '_');
  const result = `<Arn>arn:aws:iam::${ACCOUNT}:user/${user}</Arn><UserId>${user}</UserId><Account>${ACCOUNT}</Account>`;
  const body = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>${result}</GetCallerIdentityResult><ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;
  response.writeHead(200, { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
