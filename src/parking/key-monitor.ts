// Key monitor: decides what a failed KMS call of the key ring means. It shuts the gate, or reports a suspected platform fault.
import { gateId, keyRef, type KeyRef } from '../runtime/key-ref.ts';
import { withOnlyAuditContext } from '../runtime/audit-log.ts';
import type { Clock } from '../runtime/clock.ts';
import { dispositionOf, SealdexError } from '../runtime/errors.ts';
import { runScript, script } from '../runtime/lua-script.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import type { OperatorStop } from '../tenants/operator-stop.ts';
import type { Gates } from './gate.ts';
import { isClosed, isOperatorStop, type Gate } from './gate-record.ts';

interface Watch {
  /** Call before a cached key is used; as `Gates.refresh`. */
  refresh(): Promise<void> | undefined;
  /** Call before a KMS call. @throws SealdexError with the code of the gate if it is not open */
  begin(call: KeyRef): {
    ok(): void;
    /** Returns the error for the users of the call. */
    failed(error: SealdexError): Promise<SealdexError>;
  };
}

export interface KeyMonitorDeps {
  readonly gates: Gates;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly platformKeyArn: string;
  /** The stop that applies to a tenant's KMS key, by the tenant's file as it is now. */
  readonly operatorStopOf: (key: KeyRef) => Promise<OperatorStop | undefined>;
  /** The tenant's current KMS key; undefined if the tenant does not exist. */
  readonly currentKeyOf: (tenant: string) => Promise<string | undefined>;
  /** Makes real KMS calls, without the key ring. */
  readonly works: (call: KeyRef) => Promise<boolean>;
  readonly platformKeyWorks: () => Promise<boolean>;
  /** Number of tenants with keys in use in any process. */
  readonly keysInUse: () => Promise<number>;
  /** Random KMS keys of tenants, in use or not. If they work, the denials are not a platform fault. */
  readonly someKeys: () => Promise<readonly KeyRef[]>;
  /** Called if the errors in this process point to the platform. */
  readonly onPlatformSuspected: (code: PlatformSuspicion) => void;
}

export type PlatformSuspicion = 'PLATFORM_DENIED' | 'KMS_FAILED';

/** KMS errors that last this long are an outage of KMS or of one key's store. */
const LASTING_MS = 30_000;

/** Longer than any retry delay: failures further apart are separate, since calls in between may have succeeded. */
const APART_MS = 120_000;

/** If more gates than this, and a larger part of the keys in use, are denied within the window, the platform is suspected. */
const MAX_DENIED = 3;
const MAX_DENIED_PART = 0.1;
const DENIED_WINDOW_MS = 300_000;

/** Old denials that one call removes: the window may have one for each tenant. */
const MAX_FORGOTTEN = 100;

/** Number of remembered keys that worked or were denied, and of keys that one test calls. */
const MAX_RECENT = 100;
const KEYS_PER_TEST = 3;

/** How long the result of a test is reused. */
const PROOF_MS = 3000;

/** Maximum number of failing keys that a process remembers. */
const MAX_FAILING = 10_000;

export interface KeyMonitor extends Watch {
  /** Whether any key works now: one that was denied, one that worked lately, or a random one. */
  anyKeyWorks(): Promise<boolean>;
  /**
   * Shuts the gate if a job failed with an operator stop: parked jobs are released through the gate, and Redis may have lost
   * it or never had one.
   */
  readonly enforceOperatorStop: (tenant: string, error: SealdexError) => Promise<void>;
}

export function createKeyMonitor(deps: KeyMonitorDeps): KeyMonitor {
  const { gates, clock, platformKeyArn } = deps;
  /** First failure of a key since its last success, and its last failure. */
  const failing = new Map<string, { readonly since: number; readonly last: number }>();
  const worked = new Recent();
  const denied = new Recent();

  /** `seen` is the gate at the start of the call: a gate that was changed since is not shut. */
  const shut = async (key: KeyRef, seen: Gate, error: SealdexError): Promise<void> => {
    const isCurrent = (await deps.currentKeyOf(key.tenant)) === key.keyArn;
    await gates.apply(key, { kind: 'keyFailed', error, isCurrent }, seen);
  };

  const lasting = async (call: KeyRef, seen: Gate, error: SealdexError): Promise<SealdexError> => {
    const id = gateId(call);
    const now = clock.monotonic();
    const before = failing.get(id);
    const since = before && now - before.last <= APART_MS ? before.since : now;
    remember(failing, id, { since, last: now }, MAX_FAILING);
    if (now - since < LASTING_MS) return error;
    if (call.keyArn === platformKeyArn || !(await deps.platformKeyWorks())) {
      deps.onPlatformSuspected('KMS_FAILED');
      return error;
    }
    const unavailable = new SealdexError('KEY_UNAVAILABLE', undefined, {
      keyArn: call.keyArn,
      reason: error.reason ?? 'Failing',
      cause: error.cause,
      requestId: error.requestId,
    });
    await shut(call, seen, unavailable);
    return unavailable;
  };

  const runKeyTest = async (): Promise<'work' | 'fail' | 'none'> => {
    const isOther = (one: KeyRef): boolean =>
      !denied.has(one) && !isClosed(gates.get(one)) && one.keyArn !== platformKeyArn;
    const known = worked.last(KEYS_PER_TEST, isOther);
    if (await anySucceeds(deps.works, known)) return 'work';
    const some = (await deps.someKeys()).filter(isOther).slice(0, KEYS_PER_TEST);
    if (await anySucceeds(deps.works, some)) return 'work';
    return known.length + some.length === 0 ? 'none' : 'fail';
  };

  let lastTest: { readonly at: number; readonly result: Promise<'work' | 'fail' | 'none'> } | undefined;
  /** Whether keys without a denial work. Calls within PROOF_MS share one test. */
  const testOtherKeys = (): Promise<'work' | 'fail' | 'none'> => {
    const now = clock.monotonic();
    if (!lastTest || now - lastTest.at >= PROOF_MS) lastTest = { at: now, result: runKeyTest() };
    return lastTest.result;
  };

  const isPlatformDenied = async (call: KeyRef): Promise<boolean> => {
    denied.add(call);
    const count = await countDenied(deps, gateId(call));
    if (count <= MAX_DENIED || count <= (await deps.keysInUse()) * MAX_DENIED_PART) return false;
    // If tenants had denied access, the keys of other tenants would work. Without other keys nothing is proven.
    return (await testOtherKeys()) === 'fail';
  };

  const failed = async (call: KeyRef, seen: Gate, error: SealdexError): Promise<SealdexError> => {
    if (error.code === 'KMS_FAILED') return lasting(call, seen, error);
    if (dispositionOf(error.code).disposition !== 'park') return error;
    if (error.code === 'KEY_DENIED' && (await isPlatformDenied(call))) {
      deps.onPlatformSuspected('PLATFORM_DENIED');
      const { reason = 'Denied', cause, requestId } = error;
      return new SealdexError('PLATFORM_DENIED', undefined, { reason, cause, requestId });
    }
    await shut(call, seen, error);
    return error;
  };

  return {
    refresh: () => gates.refresh(),
    begin(call) {
      const gate = gates.get(call);
      const refusal = gates.refusal(call);
      if (refusal && refusal.code !== 'GATE_UNKNOWN') throw refusal;
      const id = gateId(call);
      return {
        ok() {
          failing.delete(id);
          denied.remove(call);
          worked.add(call);
        },
        failed: (error) => failed(call, gate, error),
      };
    },
    async enforceOperatorStop(tenant, error) {
      const { keyArn } = error;
      if (keyArn === undefined || !isOperatorStop(error.code)) return;
      const key = keyRef(tenant, keyArn);
      const seen = gates.get(key);
      if (isClosed(seen)) return;
      const stop = await deps.operatorStopOf(key);
      if (!stop) return;
      const isCurrent = (await deps.currentKeyOf(tenant)) === keyArn;
      await gates.apply(key, { kind: 'operatorStopped', stop, isCurrent }, seen);
    },
    anyKeyWorks: async () =>
      (await anySucceeds(deps.works, denied.last(KEYS_PER_TEST))) || (await testOtherKeys()) !== 'fail',
  };
}

async function anySucceeds(works: KeyMonitorDeps['works'], calls: readonly KeyRef[]): Promise<boolean> {
  // The audit lines of other tenants' keys must not name the job of this tenant.
  for (const call of calls) if (await withOnlyAuditContext({ activity: 'probe' }, () => works(call))) return true;
  return false;
}

const COUNT_DENIED = script({
  name: 'count_denied',
  keys: ['denials'],
  args: ['now', 'gate', 'oldest', 'windowMs'],
  lua: `
    redis.call('ZADD', denials, now, gate)
    local old = redis.call('ZRANGEBYSCORE', denials, '-inf', oldest, 'LIMIT', 0, ${MAX_FORGOTTEN})
    if #old > 0 then redis.call('ZREM', denials, unpack(old)) end
    redis.call('PEXPIRE', denials, windowMs)
    return redis.call('ZCOUNT', denials, '(' .. oldest, '+inf')`,
});

/** Number of gates that were denied in the window in any process, including this one. */
async function countDenied({ redis, keys, clock }: KeyMonitorDeps, id: string): Promise<number> {
  const now = clock.now();
  const { denials } = keys;
  const [oldest, windowMs] = [now - DENIED_WINDOW_MS, DENIED_WINDOW_MS];
  return Number(await runScript(redis, COUNT_DENIED, { denials, now, gate: id, oldest, windowMs }));
}

/** The most recent distinct keys, newest last, at most MAX_RECENT. */
class Recent {
  readonly #calls = new Map<string, KeyRef>();

  add(call: KeyRef): void {
    const id = gateId(call);
    this.#calls.delete(id);
    remember(this.#calls, id, keyRef(call.tenant, call.keyArn), MAX_RECENT);
  }

  remove(call: KeyRef): void {
    this.#calls.delete(gateId(call));
  }

  has(call: KeyRef): boolean {
    return this.#calls.has(gateId(call));
  }

  last(max: number, matches: (call: KeyRef) => boolean = () => true): KeyRef[] {
    return [...this.#calls.values()].filter(matches).slice(-max);
  }
}

function remember<T>(into: Map<string, T>, id: string, value: T, max: number): void {
  const [oldest] = into.keys();
  if (into.size >= max && oldest !== undefined && !into.has(id)) into.delete(oldest);
  into.set(id, value);
}
