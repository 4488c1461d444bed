// The adapter of the calls that use a key: at most some at once per tenant and key, rate limited, with deadlines and typed errors.
// Holds no key longer than a call; caching, sharing and wiping are the key ring's.
import { DescribeKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import type { AuditLog } from '../../runtime/audit-log.ts';
import { systemClock, type WaitMode } from '../../runtime/clock.ts';
import { platformArns, type Config } from '../../runtime/config.ts';
import { SealdexError } from '../../runtime/errors.ts';
import type { KeyRef } from '../../runtime/key-ref.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { contextOf } from '../data-key.ts';
import { KeyedLimiter } from '../keyed-limiter.ts';
import { MAX_WRAPPED_BYTES, type Kms } from '../kms.ts';
import { RateLimiter, RATE_LIMITED, rateLimited } from '../rate-limiter.ts';
import { deadlineMs, openClient, orAbortAndZero } from './client.ts';
import { decryptCommand, generateDataKeyCommand, takePlaintext, type PlaintextAnswer } from './commands.ts';
import { isThrottled, kmsFault, needsState, type RequestedKey, type DescribedState } from './kms-error-mapping.ts';
import { auditTries, type Sender, type Tries } from './tries.ts';

/** Calls at once for one tenant under one KMS key, so that a slow one does not take all connections. */
const LANE_CALLS = 8;

interface Request<T> {
  readonly input: object;
  readonly send: (options: { abortSignal: AbortSignal }) => Promise<T>;
}

/** Sends a request, one more try included. @throws the last try's error; when there was none, the signal's reason, or `paced()` */
type Send = <T extends object>(request: Request<T>, signal: AbortSignal) => Promise<T>;

interface Asking {
  readonly client: KMSClient;
  readonly audit: AuditLog;
  readonly tries: Tries;
  readonly ours: ReadonlySet<string>;
  readonly pace: RateLimiter;
  readonly metrics: Metrics;
  readonly use: WaitMode;
}

type Ask = <T extends PlaintextAnswer>(
  operation: string,
  key: KeyRef,
  request: Request<T>,
) => Promise<{ answer: T; plaintext: Buffer }>;

const isWrappedLength = (length: number): boolean => length >= 1 && length <= MAX_WRAPPED_BYTES;

export function createKms(config: Config, metrics: Metrics, audit: AuditLog, use: WaitMode, clock = systemClock): Kms {
  const client = openClient(config, use);
  const ours = platformArns(config);
  const tries = auditTries(client, audit, ours);
  const ask = asking({ client, audit, tries, ours, pace: new RateLimiter({ clock, isThrottled }), metrics, use });
  return {
    async generateDataKey(key, scope) {
      const command = generateDataKeyCommand(key, contextOf(key, scope));
      const { answer, plaintext } = await ask('GenerateDataKey', key, {
        input: command.input,
        send: (options) => client.send(command, options),
      });
      const wrapped = Buffer.from(answer.CiphertextBlob ?? []);
      if (isWrappedLength(wrapped.length)) return { plaintext, wrapped };
      plaintext.fill(0);
      throw new SealdexError('INTERNAL', undefined, { reason: 'WrappedLength' });
    },

    async decrypt(key, wrapped, scope) {
      if (!isWrappedLength(wrapped.length)) {
        throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'WrappedLength' });
      }
      const command = decryptCommand(key, wrapped, contextOf(key, scope));
      const { plaintext } = await ask('Decrypt', key, {
        input: command.input,
        send: (options) => client.send(command, options),
      });
      return plaintext;
    },

    close: () => tries.close(),
  };
}

/** Asks for a data key in its tenant's lane, counts the call, and tells a refusal by its code. */
function asking({ client, audit, tries, ours, pace, metrics, use }: Asking): Ask {
  const send = sendInTime(client, pace);
  const lanes = new KeyedLimiter(LANE_CALLS);
  const counted = (operation: string, fault?: SealdexError): void => {
    // What did not get its turn was never sent.
    if (fault?.reason === RATE_LIMITED) return;
    metrics.count('sealdex_kms_calls_total', { operation, result: fault?.code ?? 'ok' });
  };

  /** Empty when KMS does not tell: a refusal of this one explains nothing and is no fault. */
  async function stateOf(key: RequestedKey, sender: Sender, signal: AbortSignal): Promise<DescribedState> {
    const command = new DescribeKeyCommand({ KeyId: key.arn });
    tries.sentBy(command.input, sender);
    try {
      const request = { input: command.input, send: (options: object) => client.send(command, options) };
      const { KeyMetadata } = await send(request, signal);
      counted('DescribeKey');
      return { state: KeyMetadata?.KeyState, deletesAt: KeyMetadata?.DeletionDate?.getTime() };
    } catch (error) {
      counted('DescribeKey', kmsFault(error, key));
      return {};
    }
  }

  return async (operation, key, request) => {
    const { tenant, keyArn } = key;
    const sender = { key, who: await audit.who() };
    tries.sentBy(request.input, sender);
    const signal = AbortSignal.timeout(deadlineMs(use));
    let isQueued = true;
    try {
      const answer = await lanes.run(`${tenant} ${keyArn}`, signal, () => ((isQueued = false), send(request, signal)));
      const plaintext = takePlaintext(answer, key);
      counted(operation);
      return { answer, plaintext };
    } catch (thrown) {
      // Whoever waits in a lane waits for calls that wait for their turn.
      const error = isQueued && pace.intervalMs > 0 ? rateLimited() : thrown;
      // A refusal by state names one of several states only in its text; DescribeKey names it for sure.
      const asked = { arn: keyArn, isPlatformKey: ours.has(keyArn) };
      const fault = kmsFault(error, asked, needsState(error) ? await stateOf(asked, sender, signal) : {});
      counted(operation, fault);
      throw fault;
    }
  };
}

/** What is known of a request on its way. */
interface Sent {
  readonly signal: AbortSignal;
  isWaiting: boolean;
  /** What the last try that was made met. */
  failure?: unknown;
}

/** Not all that the SDK does heeds a signal (finding credentials, pauses between tries): so nobody waits for it longer. */
function sendInTime(client: KMSClient, pace: RateLimiter): Send {
  const requests = new WeakMap<object, Sent>();
  client.middlewareStack.add(
    (next) => async (args) => {
      const sent = requests.get(args.input)!;
      sent.isWaiting = true;
      try {
        return await pace.run(sent.signal, () => ((sent.isWaiting = false), next(args)));
      } catch (error) {
        if (!sent.isWaiting) sent.failure = error;
        throw error;
      }
    },
    // Inside the SDK's retrying: every try waits for its turn and is seen.
    { step: 'finalizeRequest', priority: 'low', name: 'pace' },
  );
  return async ({ input, send }, signal) => {
    const sent: Sent = { signal, isWaiting: false };
    requests.set(input, sent);
    try {
      return await orAbortAndZero(send({ abortSignal: signal }), signal);
    } catch (error) {
      // When time runs out before the second try, the first has told what is the matter.
      throw sent.failure ?? (sent.isWaiting ? rateLimited() : error);
    }
  };
}
