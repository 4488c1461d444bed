// Adapter of the calls that use a key: limited per tenant and key, rate limited, with deadlines and typed errors. Holds no key
// longer than a call.
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

/** Concurrent calls for one tenant and KMS key, so that a slow key does not take all connections. */
const CALLS_PER_KEY = 8;

interface Request<T> {
  readonly input: object;
  readonly send: (options: { abortSignal: AbortSignal }) => Promise<T>;
}

/** Sends a request with one retry. @throws the error of the last try; without one, the signal's reason, or `rateLimited()` */
type Send = <T extends object>(request: Request<T>, signal: AbortSignal) => Promise<T>;

interface CallDeps {
  readonly client: KMSClient;
  readonly audit: AuditLog;
  readonly tries: Tries;
  readonly platformKeys: ReadonlySet<string>;
  readonly rateLimiter: RateLimiter;
  readonly metrics: Metrics;
  readonly use: WaitMode;
}

type Call = <T extends PlaintextAnswer>(
  operation: string,
  key: KeyRef,
  request: Request<T>,
) => Promise<{ answer: T; plaintext: Buffer }>;

const isWrappedLength = (length: number): boolean => length >= 1 && length <= MAX_WRAPPED_BYTES;

export function createKms(config: Config, metrics: Metrics, audit: AuditLog, use: WaitMode, clock = systemClock): Kms {
  const client = openClient(config, use);
  const platformKeys = platformArns(config);
  const tries = auditTries(client, audit, platformKeys);
  const call = createCall({
    client,
    audit,
    tries,
    platformKeys,
    rateLimiter: new RateLimiter({ clock, isThrottled }),
    metrics,
    use,
  });
  return {
    async generateDataKey(key, scope) {
      const command = generateDataKeyCommand(key, contextOf(key, scope));
      const { answer, plaintext } = await call('GenerateDataKey', key, {
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
      const { plaintext } = await call('Decrypt', key, {
        input: command.input,
        send: (options) => client.send(command, options),
      });
      return plaintext;
    },

    close: () => tries.close(),
  };
}

/** Makes a limited call to KMS, counts it, and maps its error to a code. */
function createCall({ client, audit, tries, platformKeys, rateLimiter, metrics, use }: CallDeps): Call {
  const send = sendInTime(client, rateLimiter);
  const perKey = new KeyedLimiter(CALLS_PER_KEY);
  const counted = (operation: string, fault?: SealdexError): void => {
    // A rate limited call was never sent.
    if (fault?.reason === RATE_LIMITED) return;
    metrics.count('sealdex_kms_calls_total', { operation, result: fault?.code ?? 'ok' });
  };

  /** Empty if DescribeKey fails: that error is not reported. */
  async function stateOf(key: RequestedKey, sender: Sender, signal: AbortSignal): Promise<DescribedState> {
    const command = new DescribeKeyCommand({ KeyId: key.arn });
    tries.register(command.input, sender);
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
    const sender = { key, origin: await audit.origin() };
    tries.register(request.input, sender);
    const signal = AbortSignal.timeout(deadlineMs(use));
    let isQueued = true;
    try {
      const answer = await perKey.run(`${tenant} ${keyArn}`, signal, () => ((isQueued = false), send(request, signal)));
      const plaintext = takePlaintext(answer, key);
      counted(operation);
      return { answer, plaintext };
    } catch (thrown) {
      // A call in the queue of a key waits for calls that are rate limited.
      const error = isQueued && rateLimiter.intervalMs > 0 ? rateLimited() : thrown;
      // The error names the state only in its message; DescribeKey returns it reliably.
      const requested = { arn: keyArn, isPlatformKey: platformKeys.has(keyArn) };
      const fault = kmsFault(error, requested, needsState(error) ? await stateOf(requested, sender, signal) : {});
      counted(operation, fault);
      throw fault;
    }
  };
}

/** State of a request in progress. */
interface Sent {
  readonly signal: AbortSignal;
  isWaiting: boolean;
  /** The error of the last try that was sent. */
  failure?: unknown;
}

/** Parts of the SDK ignore the signal (finding credentials, pauses between tries), so the wait ends with the signal. */
function sendInTime(client: KMSClient, rateLimiter: RateLimiter): Send {
  const requests = new WeakMap<object, Sent>();
  client.middlewareStack.add(
    (next) => async (args) => {
      const sent = requests.get(args.input)!;
      sent.isWaiting = true;
      try {
        return await rateLimiter.run(sent.signal, () => ((sent.isWaiting = false), next(args)));
      } catch (error) {
        if (!sent.isWaiting) sent.failure = error;
        throw error;
      }
    },
    // Inside the SDK's retries: every try is rate limited and logged.
    { step: 'finalizeRequest', priority: 'low', name: 'rate-limit' },
  );
  return async ({ input, send }, signal) => {
    const sent: Sent = { signal, isWaiting: false };
    requests.set(input, sent);
    try {
      return await orAbortAndZero(send({ abortSignal: signal }), signal);
    } catch (error) {
      // If the time ends before the second try, the error of the first one is the cause.
      throw sent.failure ?? (sent.isWaiting ? rateLimited() : error);
    }
  };
}
