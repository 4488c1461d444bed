// The KMS client as the key ring calls it: in lanes, at a pace, with deadlines and typed errors. Its SDK is imported here and in kms/ only.
// Holds no key longer than a call; caching, sharing and wiping are the key ring's.
import { DecryptCommand, DescribeKeyCommand, GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import type { AuditLog } from '../../runtime/audit-log.ts';
import { orAbort, PROMPT_MS, systemClock, type Patience } from '../../runtime/clock.ts';
import { credentialsOf, platformArns, type Config } from '../../runtime/config.ts';
import { SealdexError } from '../../runtime/errors.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import type { KeyContext } from '../data-key.ts';
import { isThrottled, kmsFault, needsState, type AskedKey, type ToldState } from './kms-error-mapping.ts';
import { auditTries, type Sender, type Tries } from './tries.ts';
import { Lanes } from '../keyed-limiter.ts';
import { Pace, PACED, paced } from '../rate-limiter.ts';

export interface GeneratedKey {
  /** 32 bytes in a buffer of their own; the receiver wipes it. */
  readonly plaintext: Buffer;
  readonly wrapped: Buffer;
}

export interface Kms {
  /** @throws SealdexError by the tables of keys/kms-errors.ts */
  generateDataKey(arn: string, context: KeyContext): Promise<GeneratedKey>;
  /** The plaintext in a buffer of its own; the receiver wipes it. */
  decrypt(arn: string, wrapped: Uint8Array, context: KeyContext): Promise<Buffer>;
  close(): void;
}

const KEY_BYTES = 32;

/** What KMS takes as CiphertextBlob; about 184 are usual. A longer one is a ValidationException, as if the key were wrong. */
export const MAX_WRAPPED_BYTES = 6144;

/** Calls at once for one tenant under one KMS key, so that a slow one does not take all connections. */
const LANE_CALLS = 8;
const CONNECTIONS = 256;

/** The SDK has no request timeout of its own: a hanging call would hold a single flight for ever. For all that a call takes. */
export const DEADLINE_MS = { patient: 4000, prompt: PROMPT_MS };

export interface Answer {
  readonly KeyId?: string | undefined;
  readonly Plaintext?: Uint8Array | undefined;
}

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
  readonly pace: Pace;
  readonly metrics: Metrics;
  readonly use: Patience;
}

type Ask = <T extends Answer>(
  operation: string,
  arn: string,
  context: KeyContext,
  request: Request<T>,
) => Promise<{ answer: T; plaintext: Buffer }>;

export function createKms(config: Config, metrics: Metrics, audit: AuditLog, use: Patience, clock = systemClock): Kms {
  const client = openClient(config, use);
  const ours = platformArns(config);
  const tries = auditTries(client, audit, ours);
  const ask = asking({ client, audit, tries, ours, pace: new Pace({ clock, isThrottled }), metrics, use });
  return {
    async generateDataKey(arn, context) {
      const EncryptionContext = contextOf(context);
      const command = new GenerateDataKeyCommand({ KeyId: arn, KeySpec: 'AES_256', EncryptionContext });
      const { answer, plaintext } = await ask('GenerateDataKey', arn, context, {
        input: command.input,
        send: (options) => client.send(command, options),
      });
      const wrapped = Buffer.from(answer.CiphertextBlob ?? []);
      if (isWrappedLength(wrapped.length)) return { plaintext, wrapped };
      plaintext.fill(0);
      throw new SealdexError('INTERNAL', undefined, { reason: 'WrappedLength' });
    },

    async decrypt(arn, wrapped, context) {
      if (!isWrappedLength(wrapped.length)) {
        throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'WrappedLength' });
      }
      const EncryptionContext = contextOf(context);
      const command = new DecryptCommand({ KeyId: arn, CiphertextBlob: wrapped, EncryptionContext });
      const { plaintext } = await ask('Decrypt', arn, context, {
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
  const lanes = new Lanes(LANE_CALLS);
  const counted = (operation: string, fault?: SealdexError): void => {
    // What did not get its turn was never sent.
    if (fault?.reason === PACED) return;
    metrics.count('sealdex_kms_calls_total', { operation, result: fault?.code ?? 'ok' });
  };

  /** Empty when KMS does not tell: a refusal of this one explains nothing and is no fault. */
  async function stateOf(key: AskedKey, sender: Sender, signal: AbortSignal): Promise<ToldState> {
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

  return async (operation, arn, { tenant }, request) => {
    const sender = { tenant, who: await audit.who() };
    tries.sentBy(request.input, sender);
    const signal = AbortSignal.timeout(DEADLINE_MS[use]);
    let isQueued = true;
    try {
      const answer = await lanes.run(`${tenant} ${arn}`, signal, () => ((isQueued = false), send(request, signal)));
      const plaintext = takePlaintext(answer, arn);
      counted(operation);
      return { answer, plaintext };
    } catch (thrown) {
      // Whoever waits in a lane waits for calls that wait for their turn.
      const error = isQueued && pace.intervalMs > 0 ? paced() : thrown;
      // A refusal by state names one of several states only in its text; DescribeKey names it for sure.
      const key = { arn, isPlatformKey: ours.has(arn) };
      const fault = kmsFault(error, key, needsState(error) ? await stateOf(key, sender, signal) : {});
      counted(operation, fault);
      throw fault;
    }
  };
}

export function openClient(config: Config, use: Patience): KMSClient {
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

/** What is known of a request on its way. */
interface Sent {
  readonly signal: AbortSignal;
  isWaiting: boolean;
  /** What the last try that was made met. */
  failure?: unknown;
}

/** Not all that the SDK does heeds a signal (finding credentials, pauses between tries): so nobody waits for it longer. */
function sendInTime(client: KMSClient, pace: Pace): Send {
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
    const answer = send({ abortSignal: signal });
    try {
      return await orAbort(answer, signal);
    } catch (error) {
      answer.then(
        (late) => (late as Answer).Plaintext?.fill(0),
        () => {},
      );
      // When time runs out before the second try, the first has told what is the matter.
      throw sent.failure ?? (sent.isWaiting ? paced() : error);
    }
  };
}

export const contextOf = ({ tenant, period, purpose }: KeyContext): Record<string, string> => ({
  tenant,
  period,
  purpose,
});

const isWrappedLength = (length: number): boolean => length >= 1 && length <= MAX_WRAPPED_BYTES;

/** Moves the key out of the SDK's buffer, which is zeroed; checks that the KMS key asked for is the one that answered. */
export function takePlaintext({ KeyId, Plaintext }: Answer, arn: string): Buffer {
  // An array of its own: Node moves small views that it allocates itself, and leaves what they held behind.
  const plaintext = Buffer.from(new ArrayBuffer(KEY_BYTES));
  const isWhole = Plaintext?.length === KEY_BYTES;
  if (isWhole) plaintext.set(Plaintext);
  Plaintext?.fill(0);
  if (isWhole && KeyId === arn) return plaintext;
  plaintext.fill(0);
  throw new SealdexError('INTERNAL', undefined, { reason: isWhole ? 'OtherKeyAnswered' : 'KeyLength' });
}
