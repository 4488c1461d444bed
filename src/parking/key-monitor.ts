// Key monitor: decides what a failed KMS call of the key ring means. It shuts the gate, or finds that the platform is at fault.
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
  /** Before a cached key is used. As the gates' own. */
  refresh(): Promise<void> | undefined;
  /** @throws SealdexError with the code of the gate when it is not open: then KMS is not asked */
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
  /** The tenant's current KMS key; undefined when the tenant is gone. */
  readonly currentKeyOf: (tenant: string) => Promise<string | undefined>;
  /** Real calls, past the key ring. */
  readonly works: (call: KeyRef) => Promise<boolean>;
  readonly platformKeyWorks: () => Promise<boolean>;
  /** How many tenants' keys are in use anywhere. */
  readonly keysInUse: () => Promise<number>;
  /** Some tenants' own KMS keys, in use or not, at random: whether they work tells a fault of ours from theirs. */
  readonly someKeys: () => Promise<readonly KeyRef[]>;
  /** Called if the errors that this process met point to the platform. */
  readonly onPlatformSuspected: (code: PlatformSuspicion) => void;
}

export type PlatformSuspicion = 'PLATFORM_DENIED' | 'KMS_FAILED';

/** A fault of KMS that lasts so long is an outage, of all or of one key's store. */
const LASTING_MS = 30_000;

/** Two failures further apart than jobs wait between their tries are two faults: in between, others may have had good answers. */
const APART_MS = 120_000;

/** More gates than this, and a larger part of the keys in use, denied within the window: no accident of tenants. */
const DENIED_MOST = 3;
const DENIED_PART = 0.1;
const DENIED_WINDOW_MS = 300_000;

/** Keys that worked lately, and how many of those and of others are tried. */
const WORKED_KEPT = 100;
const TRIED = 3;

/** How long that proof is taken for still true. */
const PROOF_MS = 3000;

/** Of how many keys at once a process remembers that they fail. */
const FAILING_KEPT = 10_000;

export interface KeyMonitor extends Watch {
  /** Whether any key that worked lately, or was denied, works now. */
  anyKeyWorks(): Promise<boolean>;
  /**
   * Shuts the gate if a job failed with an operator stop: parked jobs are released through the gate, and Redis may have lost
   * it or never had one.
   */
  readonly enforceOperatorStop: (tenant: string, error: SealdexError) => Promise<void>;
}

export function createKeyMonitor(deps: KeyMonitorDeps): KeyMonitor {
  const { gates, clock, platformKeyArn } = deps;
  /** Since when a key fails without any success, and when it did last. */
  const failing = new Map<string, { readonly since: number; readonly last: number }>();
  const worked = new Recent();
  const denied = new Recent();

  /** The call began while the gate was the one that was seen: a gate that was changed meanwhile is not shut by it. */
  const shut = async (key: KeyRef, seen: Gate, error: SealdexError): Promise<void> => {
    const isCurrent = (await deps.currentKeyOf(key.tenant)) === key.keyArn;
    await gates.apply(key, { kind: 'keyFailed', error, isCurrent }, seen);
  };

  const lasting = async (call: KeyRef, seen: Gate, error: SealdexError): Promise<SealdexError> => {
    const id = gateId(call);
    const now = clock.monotonic();
    const before = failing.get(id);
    const since = before && now - before.last <= APART_MS ? before.since : now;
    remember(failing, id, { since, last: now }, FAILING_KEPT);
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

  const askOthers = async (): Promise<'work' | 'fail' | 'none'> => {
    const isOther = (one: KeyRef): boolean =>
      !denied.has(one) && !isClosed(gates.get(one)) && one.keyArn !== platformKeyArn;
    const known = worked.last(TRIED, isOther);
    if (await anySucceeds(deps.works, known)) return 'work';
    const some = (await deps.someKeys()).filter(isOther).slice(0, TRIED);
    if (await anySucceeds(deps.works, some)) return 'work';
    return known.length + some.length === 0 ? 'none' : 'fail';
  };

  let asked: { readonly at: number; readonly answer: Promise<'work' | 'fail' | 'none'> } | undefined;
  /** Whether keys work that nobody was denied; asked once for all who ask within some seconds. */
  const testOtherKeys = (): Promise<'work' | 'fail' | 'none'> => {
    const now = clock.monotonic();
    if (!asked || now - asked.at >= PROOF_MS) asked = { at: now, answer: askOthers() };
    return asked.answer;
  };

  const isPlatformDenied = async (call: KeyRef): Promise<boolean> => {
    denied.add(call);
    const count = await countDenied(deps, gateId(call));
    if (count <= DENIED_MOST || count <= (await deps.keysInUse()) * DENIED_PART) return false;
    // The proof: were it the tenants, the keys of others would work. Without others nothing is proven.
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
    anyKeyWorks: async () => (await anySucceeds(deps.works, denied.last(TRIED))) || (await testOtherKeys()) !== 'fail',
  };
}

async function anySucceeds(works: KeyMonitorDeps['works'], calls: readonly KeyRef[]): Promise<boolean> {
  // One tenant's job led here; the lines about the keys of others do not name it.
  for (const call of calls) if (await withOnlyAuditContext({ activity: 'probe' }, () => works(call))) return true;
  return false;
}

const COUNT_DENIED = script({
  name: 'count_denied',
  keys: ['denials'],
  args: ['now', 'gate', 'oldest', 'windowMs'],
  lua: `
    redis.call('ZADD', denials, now, gate)
    redis.call('ZREMRANGEBYSCORE', denials, '-inf', oldest)
    redis.call('PEXPIRE', denials, windowMs)
    return redis.call('ZCARD', denials)`,
});

/** How many gates were denied lately anywhere, this one among them. */
async function countDenied({ redis, keys, clock }: KeyMonitorDeps, id: string): Promise<number> {
  const now = clock.now();
  const { denials } = keys;
  const [oldest, windowMs] = [now - DENIED_WINDOW_MS, DENIED_WINDOW_MS];
  return Number(await runScript(redis, COUNT_DENIED, { denials, now, gate: id, oldest, windowMs }));
}

/** The calls met last, newest at the end, each once and never too many. */
class Recent {
  readonly #calls = new Map<string, KeyRef>();

  add(call: KeyRef): void {
    const id = gateId(call);
    this.#calls.delete(id);
    remember(this.#calls, id, keyRef(call.tenant, call.keyArn), WORKED_KEPT);
  }

  remove(call: KeyRef): void {
    this.#calls.delete(gateId(call));
  }

  has(call: KeyRef): boolean {
    return this.#calls.has(gateId(call));
  }

  last(most: number, matches: (call: KeyRef) => boolean = () => true): KeyRef[] {
    return [...this.#calls.values()].filter(matches).slice(-most);
  }
}

function remember<T>(into: Map<string, T>, id: string, value: T, most: number): void {
  const [oldest] = into.keys();
  if (into.size >= most && oldest !== undefined && !into.has(id)) into.delete(oldest);
  into.set(id, value);
}
