// Connection to KMS: its client, its deadlines and the cancellation of calls.
import { KMSClient } from '@aws-sdk/client-kms';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { orAbort, type WaitMode } from '../../runtime/clock.ts';
import { credentialsOf, type Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';

const CONNECTIONS = 256;

/** For all tries of one call together. */
export const deadlineMs = (use: WaitMode): number => (use === 'prompt' ? deadlines.promptMs : deadlines.kmsMs);

export function openClient(config: Config, use: WaitMode): KMSClient {
  return new KMSClient({
    region: config.region,
    maxAttempts: 2,
    requestHandler: new UndiciHttpHandler({
      dispatcher: {
        connections: CONNECTIONS,
        connect: { timeout: deadlineMs(use) / 2 },
        // The signal has the deadline of a call.
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: 20_000,
      },
    }),
    ...(config.kmsEndpoint === undefined ? {} : { endpoint: config.kmsEndpoint }),
    ...credentialsOf(config),
  });
}

/**
 * Waits for a response until the signal. A plaintext key that arrives later has no receiver and is zeroed.
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
