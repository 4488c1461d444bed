// The KMS client: the calls that we make, their deadlines, and typed errors. The only importer of its SDK.
// Holds no key longer than a call; caching, sharing and wiping are the key ring's.
import { DecryptCommand, DescribeKeyCommand, GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { credentialsOf, type Config } from '../config.ts';
import { SealdexError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import { kmsFault, needsState } from './faults.ts';

/** The map that KMS authenticates and the message header repeats (contract, design section 5). */
export interface KeyContext {
  readonly tenant: string;
  readonly period: string;
  readonly purpose: 'documents' | 'intake';
}

export interface GeneratedKey {
  /** 32 bytes in a buffer of their own; the receiver wipes it. */
  readonly plaintext: Buffer;
  readonly wrapped: Buffer;
}

export interface Kms {
  /** @throws SealdexError by the table of keys/faults.ts */
  generateDataKey(arn: string, context: KeyContext): Promise<GeneratedKey>;
  /** The plaintext in a buffer of its own; the receiver wipes it. */
  decrypt(arn: string, wrapped: Uint8Array, context: KeyContext): Promise<Buffer>;
  close(): void;
}

const KEY_BYTES = 32;

/** The SDK has no request timeout of its own: a hanging call would hold a single flight for ever. */
const DEADLINE_MS = { patient: 4000, prompt: 900 };

export function createKms(config: Config, metrics: Metrics, use: 'patient' | 'prompt'): Kms {
  const client = new KMSClient({
    region: config.region,
    maxAttempts: 2,
    requestHandler: new UndiciHttpHandler({
      dispatcher: {
        connections: 32,
        connect: { timeout: DEADLINE_MS[use] / 2 },
        headersTimeout: 10_000,
        bodyTimeout: 10_000,
        keepAliveTimeout: 20_000,
      },
    }),
    ...(config.kmsEndpoint === undefined ? {} : { endpoint: config.kmsEndpoint }),
    ...credentialsOf(config),
  });
  const platformArns = new Set([config.platformKeyArn, ...config.platformFormerKeyArns]);

  async function call<T>(
    operation: string,
    arn: string,
    request: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await request({ abortSignal: AbortSignal.timeout(DEADLINE_MS[use]) });
      metrics.count('sealdex_kms_calls_total', { operation, result: 'ok' });
      return answer;
    } catch (error) {
      // A refusal by state names one of several states only in its text; DescribeKey names it for sure.
      const state = operation !== 'DescribeKey' && needsState(error) ? await stateOf(arn) : undefined;
      const fault = kmsFault(error, platformArns.has(arn), state);
      metrics.count('sealdex_kms_calls_total', { operation, result: fault.code });
      throw fault;
    }
  }

  const stateOf = (KeyId: string): Promise<string | undefined> =>
    call('DescribeKey', KeyId, (options) => client.send(new DescribeKeyCommand({ KeyId }), options)).then(
      ({ KeyMetadata }) => KeyMetadata?.KeyState,
      () => undefined,
    );

  return {
    async generateDataKey(arn, context) {
      const command = new GenerateDataKeyCommand({ KeyId: arn, KeySpec: 'AES_256', EncryptionContext: { ...context } });
      const answer = await call('GenerateDataKey', arn, (options) => client.send(command, options));
      const plaintext = takePlaintext(answer, arn);
      return { plaintext, wrapped: Buffer.from(answer.CiphertextBlob ?? []) };
    },

    async decrypt(arn, wrapped, context) {
      const command = new DecryptCommand({ KeyId: arn, CiphertextBlob: wrapped, EncryptionContext: { ...context } });
      return takePlaintext(await call('Decrypt', arn, (options) => client.send(command, options)), arn);
    },

    close: () => client.destroy(),
  };
}

/** Moves the key out of the SDK's buffer, which is zeroed; checks that the KMS key asked for is the one that answered. */
function takePlaintext(
  { KeyId, Plaintext }: { KeyId?: string | undefined; Plaintext?: Uint8Array | undefined },
  arn: string,
): Buffer {
  const plaintext = Buffer.alloc(KEY_BYTES);
  if (Plaintext?.length === KEY_BYTES) plaintext.set(Plaintext);
  const isWhole = Plaintext?.length === KEY_BYTES;
  Plaintext?.fill(0);
  if (isWhole && KeyId === arn) return plaintext;
  plaintext.fill(0);
  throw new SealdexError('INTERNAL', undefined, { reason: isWhole ? 'OtherKeyAnswered' : 'KeyLength' });
}
