// The test double of the KMS port: keys with their states in memory, real wrapping, denials, faults and counts. No network.
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { FaultBook } from '../../packages/local-aws/src/fault-injection.ts';
import { contextOf, type KeyContext } from '../../src/keys/data-key.ts';
import { KEY_BYTES, MAX_WRAPPED_BYTES, type Kms } from '../../src/keys/kms.ts';
import { SealdexError, type Code, type ErrorDetails } from '../../src/runtime/errors.ts';
import { isKeyArn } from '../../src/runtime/key-arn.ts';

export type MemoryKeyState = keyof typeof STATES | 'Enabled' | 'Updating';

/** What a key in that state refuses a call with. */
const STATES = Object.freeze({
  Disabled: ['KEY_DISABLED', 'DisabledException'],
  PendingDeletion: ['KEY_PENDING_DELETION', 'KMSInvalidStateException'],
  PendingReplicaDeletion: ['KEY_PENDING_DELETION', 'KMSInvalidStateException'],
  PendingImport: ['KEY_PENDING_IMPORT', 'KMSInvalidStateException'],
  Unavailable: ['KEY_UNAVAILABLE', 'KMSInvalidStateException'],
  Creating: ['KMS_FAILED', 'KMSInvalidStateException'],
} satisfies Record<string, readonly [Code, string]>);

type Operation = 'GenerateDataKey' | 'Decrypt';

interface Call {
  readonly operation: Operation;
  readonly key: string;
  readonly context: KeyContext;
}

export interface MemoryKmsMatch {
  /** The key's ARN. */
  readonly key?: string;
  readonly operation?: Operation;
  /** Pairs that the context of the call must have. */
  readonly context?: Partial<KeyContext>;
}

export type MemoryKmsFault =
  | ({ readonly kind: 'error'; readonly code: Code } & Pick<ErrorDetails, 'reason' | 'deniedBy'>)
  /** Answers when cleared, or fails when the call's time is over. */
  | { readonly kind: 'hang' };

const error = (code: Code, reason: string, deniedBy?: 'operator' | 'tenant'): MemoryKmsFault =>
  Object.freeze({ kind: 'error', code, reason, ...(deniedBy === undefined ? {} : { deniedBy }) });

/** To be given to `faults.set`. */
export const KMS_FAULTS = Object.freeze({
  throttled: error('KMS_THROTTLED', 'ThrottlingException'),
  internal: error('KMS_FAILED', 'KMSInternalException'),
  expiredCredentials: error('PLATFORM_CREDENTIALS', 'ExpiredTokenException'),
  /** By the tenant's key policy. */
  accessDenied: error('KEY_DENIED', 'AccessDeniedException', 'tenant'),
  /** By the policies of the caller. */
  accessDeniedByUs: error('KEY_DENIED', 'AccessDeniedException', 'operator'),
  notFound: error('KEY_NOT_FOUND', 'NotFoundException'),
  invalidCiphertext: error('OBJECT_TAMPERED', 'InvalidCiphertextException'),
});

interface Key {
  readonly material: Buffer;
  state: MemoryKeyState;
  deletesAt?: number;
}

interface Count {
  readonly operation: Operation;
  readonly key: string;
  readonly tenant: string;
  /** `ok` or the code. */
  readonly result: string;
  readonly count: number;
}

const DAY_MS = 86_400_000;
const ID_BYTES = 36;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** One KMS for any number of clients. */
export class MemoryKms {
  readonly platformKeyArn: string;
  readonly faults = new FaultBook<Call, MemoryKmsMatch, MemoryKmsFault>(matches);
  readonly counts = new Counts();
  readonly #keys = new Map<string, Key>();

  readonly #deadlineMs: number;

  /** How long a call that hangs may take. */
  constructor({ deadlineMs = 4000 }: { readonly deadlineMs?: number } = {}) {
    this.#deadlineMs = deadlineMs;
    this.platformKeyArn = this.createKey();
  }

  /** The new key's ARN. */
  createKey(): string {
    const arn = `arn:aws:kms:us-west-2:000000000000:key/${randomUUID()}`;
    this.#keys.set(arn, { material: randomBytes(KEY_BYTES), state: 'Enabled' });
    return arn;
  }

  enable(arn: string): void {
    this.setState(arn, 'Enabled');
  }

  disable(arn: string): void {
    this.setState(arn, 'Disabled');
  }

  scheduleDeletion(arn: string, { days = 30 }: { days?: number } = {}): void {
    this.setState(arn, 'PendingDeletion');
    this.#find(arn).deletesAt = Date.now() + days * DAY_MS;
  }

  /** Leaves the key disabled, as KMS does. */
  cancelDeletion(arn: string): void {
    this.setState(arn, 'Disabled');
  }

  setState(arn: string, state: MemoryKeyState): void {
    const key = this.#find(arn);
    key.state = state;
    delete key.deletesAt;
  }

  /** The key is gone permanently, as after its scheduled deletion. */
  forget(arn: string): void {
    this.#find(arn);
    this.#keys.delete(arn);
  }

  /** A client, as a process has one. */
  connect(): Kms {
    const closing = new AbortController();
    const { signal } = closing;
    return {
      generateDataKey: async (ref, scope) => {
        const { keyArn: arn } = ref;
        const context = contextOf(ref, scope);
        return this.#call({ operation: 'GenerateDataKey', key: arn, context }, signal, (key) => {
          const plaintext = ownBuffer(randomBytes(KEY_BYTES));
          return { plaintext, wrapped: wrap(arn, key, context, plaintext) };
        });
      },
      decrypt: async (ref, wrapped, scope) => {
        if (wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES)
          throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'WrappedLength' });
        const bytes = Buffer.from(wrapped);
        const { keyArn: arn } = ref;
        const context = contextOf(ref, scope);
        return this.#call({ operation: 'Decrypt', key: arn, context }, signal, (key) =>
          unwrap(arn, key, context, bytes),
        );
      },
      close: () => closing.abort(new SealdexError('KMS_FAILED', undefined, { reason: 'Closed' })),
    };
  }

  async #call<T>(call: Call, closed: AbortSignal, answer: (key: Key) => T): Promise<T> {
    closed.throwIfAborted();
    const counted = this.counts.begin(call);
    try {
      await this.#meetFaults(call, closed);
      const answered = answer(this.#usable(call.key));
      counted('ok');
      return answered;
    } catch (thrown) {
      const fault = this.#asRefusal(thrown as SealdexError, call.key);
      counted(fault.code);
      throw fault;
    }
  }

  /** Each call takes a turn of the event loop, as one over the network does. */
  async #meetFaults(call: Call, closed: AbortSignal): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    for (const { fault, wait } of this.faults.take(call)) {
      if (fault.kind === 'error') throw new SealdexError(fault.code, undefined, fault);
      const late = AbortSignal.timeout(this.#deadlineMs);
      await wait(AbortSignal.any([closed, late]));
      closed.throwIfAborted();
      if (late.aborted) throw new SealdexError('KMS_FAILED', undefined, { reason: 'TimeoutError' });
    }
  }

  #usable(arn: string): Key {
    const key = this.#find(arn);
    if (key.state === 'Enabled' || key.state === 'Updating') return key;
    const [code, reason] = STATES[key.state];
    throw new SealdexError(code, undefined, { reason, ...(key.deletesAt ? { deletesAt: key.deletesAt } : {}) });
  }

  #find(arn: string): Key {
    if (!isKeyArn(arn)) throw new SealdexError('TENANT_KEY_INVALID', undefined, { reason: 'InvalidArnException' });
    const key = this.#keys.get(arn);
    if (!key) throw new SealdexError('KEY_NOT_FOUND', undefined, { reason: 'NotFoundException' });
    return key;
  }

  /** The same refusal is an error of the platform when its own key is refused. */
  #asRefusal({ code, reason, deniedBy, deletesAt }: SealdexError, arn: string): SealdexError {
    const isPlatformKey = arn === this.platformKeyArn;
    const isOfKey = code.startsWith('KEY_') || code === 'TENANT_KEY_INVALID';
    return new SealdexError(isPlatformKey && isOfKey ? 'PLATFORM_KEY' : code, undefined, {
      cause: new Error(reason),
      // Each answer of a KMS has an id, which logs repeat.
      requestId: randomUUID(),
      keyArn: arn,
      ...(reason === undefined ? {} : { reason }),
      ...(deniedBy === undefined ? {} : { deniedBy: isPlatformKey ? 'operator' : deniedBy }),
      ...(deletesAt === undefined ? {} : { deletesAt }),
    });
  }
}

/** How often the KMS was called, by operation, key, tenant and result. */
class Counts {
  #calls: (Omit<Count, 'count' | 'result'> & { result: string })[] = [];

  /** Counts a call as `open`; the answer ends that. */
  begin({ operation, key, context: { tenant } }: Call): (result: string) => void {
    const call = { operation, key, tenant, result: 'open' };
    this.#calls.push(call);
    return (result) => {
      call.result = result;
    };
  }

  count(match: Partial<Omit<Count, 'count'>> = {}): number {
    const pairs = Object.entries(match) as [keyof typeof match, string][];
    return this.#calls.filter((call) => pairs.every(([name, value]) => call[name] === value)).length;
  }

  all(): Count[] {
    const rows = new Map(this.#calls.map((call) => [JSON.stringify(call), call]));
    return [...rows.values()].map((row) => ({ ...row, count: this.count(row) }));
  }

  reset(): void {
    this.#calls = [];
  }
}

function matches({ key, operation, context = {} }: MemoryKmsMatch, call: Call): boolean {
  if (key !== undefined && key !== call.key) return false;
  if (operation !== undefined && operation !== call.operation) return false;
  return Object.entries(context).every(([name, value]) => call.context[name as keyof KeyContext] === value);
}

const aadOf = ({ tenant, period, purpose }: KeyContext): Buffer =>
  Buffer.from(JSON.stringify([tenant, period, purpose]));

const idOf = (arn: string): Buffer => Buffer.from(arn.slice(-ID_BYTES));

/** Not from the pool: it is zeroed by its receiver. */
function ownBuffer(bytes: Buffer): Buffer {
  const own = Buffer.alloc(bytes.length);
  bytes.copy(own);
  bytes.fill(0);
  return own;
}

/** The id of the key, then IV, tag and ciphertext, bound to the context. */
function wrap(arn: string, { material }: Key, context: KeyContext, plaintext: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', material, iv).setAAD(aadOf(context));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([idOf(arn), iv, cipher.getAuthTag(), ciphertext]);
}

function unwrap(arn: string, { material }: Key, context: KeyContext, wrapped: Buffer): Buffer {
  const id = wrapped.subarray(0, ID_BYTES);
  const reason = id.equals(idOf(arn)) ? 'InvalidCiphertextException' : 'IncorrectKeyException';
  const tagAt = ID_BYTES + IV_BYTES;
  try {
    if (!id.equals(idOf(arn))) throw new Error(reason);
    const decipher = createDecipheriv('aes-256-gcm', material, wrapped.subarray(ID_BYTES, tagAt))
      .setAAD(aadOf(context))
      .setAuthTag(wrapped.subarray(tagAt, tagAt + TAG_BYTES));
    return ownBuffer(Buffer.concat([decipher.update(wrapped.subarray(tagAt + TAG_BYTES)), decipher.final()]));
  } catch {
    throw new SealdexError('OBJECT_TAMPERED', undefined, { reason });
  }
}
