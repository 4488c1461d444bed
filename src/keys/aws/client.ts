// The connection to KMS: its client, how long a call may take, and how a call is given up.
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
        // The deadline of a call is its signal's.
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
