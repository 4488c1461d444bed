// The connection to KMS: its client, how long a call may take, and how a call is given up.
import { KMSClient } from '@aws-sdk/client-kms';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { orAbort, PROMPT_MS, type WaitMode } from '../../runtime/clock.ts';
import { credentialsOf, type Config } from '../../runtime/config.ts';

const CONNECTIONS = 256;

/** The SDK has no request timeout of its own: a hanging call would hold a single flight for ever. For all that a call takes. */
export const DEADLINE_MS = { patient: 4000, prompt: PROMPT_MS };

export function openClient(config: Config, use: WaitMode): KMSClient {
  return new KMSClient({
    region: config.region,
    maxAttempts: 2,
    requestHandler: new UndiciHttpHandler({
      dispatcher: {
        connections: CONNECTIONS,
        connect: { timeout: DEADLINE_MS[use] / 2 },
        headersTimeout: 10_000,
        bodyTimeout: 10_000,
        keepAliveTimeout: 20_000,
      },
    }),
    ...(config.kmsEndpoint === undefined ? {} : { endpoint: config.kmsEndpoint }),
    ...credentialsOf(config),
  });
}

/**
 * Waits for an answer until the signal. A plaintext key that comes after that has no receiver and is zeroed.
 * @throws what the call threw; the signal's reason
 */
export async function orAbortAndZero<T extends object>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await orAbort(answer, signal);
  } catch (error) {
    answer.then(
      (late) => 'Plaintext' in late && late.Plaintext instanceof Uint8Array && late.Plaintext.fill(0),
      () => {},
    );
    throw error;
  }
}
