// The test double of both ports of the KMS: keys with their states in memory, real wrapping, denials, injected errors and
// counts. No network.
import { randomBytes, randomUUID } from 'node:crypto';
import { FaultBook } from '../../packages/local-aws/src/fault-injection.ts';
import { contextOf, type KeyContext } from '../../src/keys/data-key.ts';
import {
  KEY_BYTES,
  MAX_WRAPPED_BYTES,
  type GeneratedKey,
  type KeyCalls,
  type KeyFacts,
  type Kms,
} from '../../src/keys/kms.ts';
import { SealdexError, type Code, type ErrorDetails } from '../../src/runtime/errors.ts';
import { isKeyArn } from '../../src/runtime/key-arn.ts';
import type { KeyRef } from '../../src/runtime/key-ref.ts';
import { ownBuffer, unwrap, wrap } from './memory-kms-cipher.ts';

export type MemoryKeyState = keyof typeof STATES | 'Enabled' | 'Updating';

/** The error of a call for a key in that state. */
const STATES = Object.freeze({
  Disabled: ['KEY_DISABLED', 'DisabledException'],
  PendingDeletion: ['KEY_PENDING_DELETION', 'KMSInvalidStateException'],
  PendingReplicaDeletion: ['KEY_PENDING_DELETION', 'KMSInvalidStateException'],
  PendingImport: ['KEY_PENDING_IMPORT', 'KMSInvalidStateException'],
  Unavailable: ['KEY_UNAVAILABLE', 'KMSInvalidStateException'],
  Creating: ['KMS_FAILED', 'KMSInvalidStateException'],
} satisfies Record<string, readonly [Code, string]>);

type Operation = 'DescribeKey' | 'GenerateDataKey' | 'Decrypt' | 'Encrypt' | 'ReEncrypt';

interface Call {
  readonly operation: Operation;
  readonly key: string;
  /** Applies to all operations but DescribeKey. */
  readonly context?: KeyContext;
}

export interface MemoryKmsMatch {
  /** The key's ARN. */
  readonly key?: string;
  readonly operation?: Operation;
  /** Pairs required in the context of the call. */
  readonly context?: Partial<KeyContext>;
}

export type MemoryKmsFault =
  | ({ readonly kind: 'error'; readonly code: Code } & Pick<ErrorDetails, 'reason' | 'deniedBy'>)
  /** Resolves when cleared, or fails at the deadline of the call. */
  | { readonly kind: 'hang' };

const error = (code: Code, reason: string, deniedBy?: 'operator' | 'tenant'): MemoryKmsFault =>
  Object.freeze({ kind: 'error', code, reason, ...(deniedBy === undefined ? {} : { deniedBy }) });

/** For `faults.set`. */
export const KMS_FAULTS = Object.freeze({
  throttled: error('KMS_THROTTLED', 'ThrottlingException'),
  internal: error('KMS_FAILED', 'KMSInternalException'),
  expiredCredentials: error('PLATFORM_CREDENTIALS', 'ExpiredTokenException'),
  /** Denied by the tenant's key policy. */
  accessDenied: error('KEY_DENIED', 'AccessDeniedException', 'tenant'),
  /** Denied by the policies of the caller. */
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
  readonly tenant?: string;
  /** `ok` or the code. */
  readonly result: string;
  readonly count: number;
}

const DAY_MS = 86_400_000;

interface Signals {
  readonly closed: AbortSignal;
  /** Abort signal of the caller. */
  readonly signal?: AbortSignal | undefined;
}

function closing(): { readonly closed: AbortSignal; readonly close: () => void } {
  const controller = new AbortController();
  const close = (): void => controller.abort(new SealdexError('KMS_FAILED', undefined, { reason: 'Closed' }));
  return { closed: controller.signal, close };
}

const factsOf = ({ state, deletesAt }: Key): KeyFacts => ({
  spec: 'SYMMETRIC_DEFAULT',
  usage: 'ENCRYPT_DECRYPT',
  origin: 'AWS_KMS',
  state,
  ...(deletesAt === undefined ? {} : { deletesAt }),
});

/** One KMS for any number of clients. */
export class MemoryKms {
  readonly platformKeyArn: string;
  readonly faults = new FaultBook<Call, MemoryKmsMatch, MemoryKmsFault>(matches);
  readonly counts = new Counts();
  readonly #keys = new Map<string, Key>();

  readonly #deadlineMs: number;

  /** The deadline of a hanging call. */
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

  /** A client of one process. */
  connect(): Kms {
    const { closed, close } = closing();
    return {
      generateDataKey: async (ref, scope) => this.#generate(ref, contextOf(ref, scope), { closed }),
      decrypt: async (ref, wrapped, scope) => {
        if (wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES)
          throw new SealdexError('OBJECT_TAMPERED', undefined, { reason: 'WrappedLength' });
        return this.#decrypt(ref, wrapped, contextOf(ref, scope), { closed });
      },
      close,
    };
  }

  /** A client of the calls that examine a key. */
  connectCalls(): KeyCalls {
    const { closed, close } = closing();
    const use = (
      operation: Operation,
      { keyArn }: KeyRef,
      context: KeyContext,
      signal: AbortSignal | undefined,
      work: (material: Buffer) => Buffer,
    ) => this.#call({ operation, key: keyArn, context }, { closed, signal }, () => work(this.#usable(keyArn).material));
    return {
      describe: ({ keyArn }, signal) =>
        this.#call({ operation: 'DescribeKey', key: keyArn }, { closed, signal }, () => factsOf(this.#find(keyArn))),
      generateDataKey: (ref, context, signal) => this.#generate(ref, context, { closed, signal }),
      decrypt: (ref, wrapped, context, signal) => this.#decrypt(ref, wrapped, context, { closed, signal }),
      encrypt: (ref, plaintext, context, signal) =>
        use('Encrypt', ref, context, signal, (material) => wrap(ref.keyArn, material, context, Buffer.from(plaintext))),
      reEncrypt: (ref, wrapped, context, signal) =>
        use('ReEncrypt', ref, context, signal, (material) => {
          const plaintext = unwrap(ref.keyArn, material, context, Buffer.from(wrapped));
          return wrap(ref.keyArn, material, context, plaintext);
        }),
      close,
    };
  }

  #generate({ keyArn }: KeyRef, context: KeyContext, signals: Signals): Promise<GeneratedKey> {
    return this.#call({ operation: 'GenerateDataKey', key: keyArn, context }, signals, () => {
      const { material } = this.#usable(keyArn);
      const plaintext = ownBuffer(randomBytes(KEY_BYTES));
      return { plaintext, wrapped: wrap(keyArn, material, context, plaintext) };
    });
  }

  #decrypt({ keyArn }: KeyRef, wrapped: Uint8Array, context: KeyContext, signals: Signals): Promise<Buffer> {
    const bytes = Buffer.from(wrapped);
    return this.#call({ operation: 'Decrypt', key: keyArn, context }, signals, () => {
      const plaintext = unwrap(keyArn, this.#usable(keyArn).material, context, bytes);
      if (plaintext.length === KEY_BYTES) return plaintext;
      throw new SealdexError('INTERNAL', undefined, { reason: 'KeyLength' });
    });
  }

  async #call<T>(call: Call, { closed, signal }: Signals, answer: () => T): Promise<T> {
    signal?.throwIfAborted();
    closed.throwIfAborted();
    const counted = this.counts.begin(call);
    try {
      await this.#meetFaults(call, signal ? AbortSignal.any([closed, signal]) : closed);
      const answered = answer();
      counted('ok');
      return answered;
    } catch (thrown) {
      signal?.throwIfAborted();
      const fault = this.#asRefusal(thrown as SealdexError, call.key);
      counted(fault.code);
      throw fault;
    }
  }

  /** Each call takes a turn of the event loop, like a network call. */
  async #meetFaults(call: Call, ended: AbortSignal): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    for (const { fault, wait } of this.faults.take(call)) {
      if (fault.kind === 'error') throw new SealdexError(fault.code, undefined, fault);
      const late = AbortSignal.timeout(this.#deadlineMs);
      await wait(AbortSignal.any([ended, late]));
      ended.throwIfAborted();
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

  /** The same denial is a platform error for the platform key. */
  #asRefusal({ code, reason, deniedBy, deletesAt }: SealdexError, arn: string): SealdexError {
    const isPlatformKey = arn === this.platformKeyArn;
    const isOfKey = code.startsWith('KEY_') || code === 'TENANT_KEY_INVALID';
    return new SealdexError(isPlatformKey && isOfKey ? 'PLATFORM_KEY' : code, undefined, {
      cause: new Error(reason),
      // Each response of a KMS has an id, which logs repeat.
      requestId: randomUUID(),
      keyArn: arn,
      ...(reason === undefined ? {} : { reason }),
      ...(deniedBy === undefined ? {} : { deniedBy: isPlatformKey ? 'operator' : deniedBy }),
      ...(deletesAt === undefined ? {} : { deletesAt }),
    });
  }
}

/** Numbers of KMS calls, by operation, key, tenant and result. */
class Counts {
  #calls: (Omit<Count, 'count' | 'result'> & { result: string })[] = [];

  /** Counts a call as `open` until its response. */
  begin({ operation, key, context }: Call): (result: string) => void {
    const call = { operation, key, result: 'open', ...(context && { tenant: context.tenant }) };
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
  return Object.entries(context).every(([name, value]) => call.context?.[name as keyof KeyContext] === value);
}
