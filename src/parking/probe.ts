// Probing: runs the due tasks of a gate in one process of the fleet at a time. It probes the key, or releases parked jobs.
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import { withAuditContext } from '../runtime/audit-log.ts';
import { repeat, withDeadline, type Clock, type Loop } from '../runtime/clock.ts';
import { dispositionOf, SealdexError } from '../runtime/errors.ts';
import { takeLease, type Lease } from '../runtime/lease.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import type { GateOwner, Gates } from './gate.ts';
import type { OperatorStop } from '../tenants/operator-stop.ts';
import type { GateEvent } from './gate-events.ts';
import type { Gate, GateRecord } from './gate-record.ts';
import type { ProbeTimes } from './schedule.ts';
import { isGraceOver, phaseOf, tasksDue } from './transitions.ts';

export interface ProbeDeps {
  readonly gates: Gates;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly times: ProbeTimes;
  /** Reads the tenant file without the cache; undefined if the tenant does not exist. */
  readonly ownerOf: (tenant: string) => Promise<GateOwner | undefined>;
  /** The stop that applies to this KMS key of the tenant, by its file as it is now. */
  readonly operatorStopOf: (key: KeyRef) => Promise<OperatorStop | undefined>;
  /** Real calls: GenerateDataKey, then Decrypt of the result. @throws SealdexError of KMS */
  readonly tryKey: (key: KeyRef) => Promise<void>;
  readonly platformKeyWorks: () => Promise<boolean>;
  /**
   * Releases the jobs that are parked at the gate, oldest first, as long as `shouldContinue` returns true.
   * @returns whether none is left
   */
  readonly release: (gate: GateRecord, shouldContinue: () => Promise<boolean>) => Promise<boolean>;
  /** Makes dead letters of the jobs that are parked at the gate for too long. */
  readonly expire: (gate: GateRecord) => Promise<void>;
}

/** What probing without a loop needs. */
export type ProbingDeps = Omit<ProbeDeps, 'release' | 'expire'>;

export interface Probe {
  /** Starts the due tasks, and waits for the probes. Does not wait for a release, which may take minutes. */
  tick(): Promise<void>;
  stop(): Promise<void>;
}

const POLL_INTERVAL_MS = 1000;
const LEASE_MS = 30_000;
const CONCURRENCY = 16;
const STOP_TIMEOUT_MS = 400;

export function startProbe(deps: ProbeDeps): Probe {
  const prober = new Prober(deps);
  // A probe may hang on a slow key store: the next poll does not wait for it.
  const loop: Loop = repeat(
    deps.clock,
    POLL_INTERVAL_MS,
    async () => void withAuditContext({ activity: 'probe' }, () => prober.begin()),
  );
  return {
    tick: () => prober.tick(),
    async stop() {
      prober.stop();
      const ended = Promise.all([loop.stop(), prober.ended()]);
      // What hangs on KMS or Redis ends with those; its lease runs out.
      await withDeadline(deps.clock, STOP_TIMEOUT_MS, ended, () => new Error('late')).catch(() => {});
    },
  };
}

/** Probes one gate now. Returns the gate afterwards; undefined if another process is probing it. */
export function probeOnce(deps: ProbingDeps, gate: Gate): Promise<Gate | undefined> {
  const prober = new Prober({ ...deps, release: async () => false, expire: async () => {} });
  return prober.underLease(gate, (fresh) => prober.probe(fresh));
}

class Prober {
  readonly #deps: ProbeDeps;
  /** Running work of this process, by gate. */
  readonly #probes = new Map<string, Promise<unknown>>();
  readonly #releases = new Map<string, Promise<unknown>>();
  #offset = 0;
  #isStopped = false;

  constructor(deps: ProbeDeps) {
    this.#deps = deps;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async ended(): Promise<void> {
    await Promise.allSettled([...this.#probes.values(), ...this.#releases.values()]);
  }

  async tick(): Promise<void> {
    await Promise.all(this.begin());
  }

  /** Starts the due tasks, each time with another gate first, so that many slow ones do not delay the rest. */
  begin(): Promise<unknown>[] {
    const all = this.#deps.gates.all();
    const from = all.length === 0 ? 0 : (this.#offset += CONCURRENCY) % all.length;
    const probes: Promise<unknown>[] = [];
    const now = this.#deps.clock.now();
    for (let at = 0; at < all.length && !this.#isStopped; at += 1) {
      const gate = all[(from + at) % all.length]!;
      const { record } = gate;
      if (!record) continue;
      const isQuick = record.state === 'shut' || record.state === 'open';
      const running = isQuick ? this.#probes : this.#releases;
      // First, since the id of every gate would take longer than all else here.
      if (running.size >= CONCURRENCY || this.#tasksDue(record, now).length === 0) continue;
      const id = gateId(record);
      if (running.has(id)) continue;
      const work = this.underLease(gate, (fresh, lease) => this.#work(fresh, lease)).catch(() => {});
      const tracked = work.finally(() => running.delete(id));
      running.set(id, tracked);
      if (isQuick) probes.push(tracked);
    }
    return probes;
  }

  #tasksDue(record: GateRecord, now = this.#deps.clock.now()): ReturnType<typeof tasksDue> {
    return tasksDue(record, now, this.#deps.times);
  }

  /** Reads the gate again under the lease: another process may just have changed it. */
  async underLease(gate: Gate, work: (fresh: Gate, lease: Lease) => Promise<void>): Promise<Gate | undefined> {
    const { redis, keys, gates } = this.#deps;
    const key = gate.record!;
    const lease = await takeLease(redis, keys.lease(`gate:${gateId(key)}`), LEASE_MS);
    if (!lease) return undefined;
    try {
      const fresh = await gates.read(key);
      if (fresh.record) await work(fresh, lease);
      return await gates.read(key);
    } finally {
      await lease.free().catch(() => {});
    }
  }

  async #work(gate: Gate, lease: Lease): Promise<void> {
    const record = gate.record!;
    for (const task of this.#tasksDue(record)) {
      if (task === 'expireParked') await this.#deps.expire(record);
      if (task === 'probe') await this.probe(gate);
      if (task === 'releaseParked') await this.#release(gate, lease);
      if (task === 'forget') await this.#apply(gate, { kind: 'openExpired' });
    }
  }

  /** Decides by the tenant's file, then by KMS. */
  async probe(gate: Gate): Promise<void> {
    const record = gate.record!;
    if (record.state !== 'shut') return;
    // Each released job determines the key that it needs.
    if (await this.#isDetached(record)) return this.#apply(gate, { kind: 'keyDetached' });
    const stop = await this.#deps.operatorStopOf(record);
    if (stop) return this.#apply(gate, { kind: 'operatorStopped', stop, isCurrent: record.wasCurrent });
    if (phaseOf(record) === 'stopped') return this.#apply(gate, { kind: 'operatorStopLifted' });
    await this.#apply(gate, await this.#probeKey(record));
  }

  async #probeKey(record: GateRecord): Promise<GateEvent> {
    const { tryKey, metrics, clock, platformKeyWorks } = this.#deps;
    try {
      await tryKey(record);
      metrics.count('sealdex_probes_total', { result: 'ok' });
      return { kind: 'probeSucceeded' };
    } catch (caught) {
      const error = caught instanceof SealdexError ? caught : new SealdexError('INTERNAL');
      metrics.count('sealdex_probes_total', { result: error.code });
      if (dispositionOf(error.code).disposition !== 'park') return { kind: 'probeInconclusive' };
      // With a wrong region or endpoint KMS finds no key at all, not even the platform key.
      const isGone = isGraceOver(record, error.code, clock.now()) && (await platformKeyWorks());
      return { kind: isGone ? 'keyGone' : 'probeFailed', error };
    }
  }

  async #release(gate: Gate, lease: Lease): Promise<void> {
    const record = gate.record!;
    const { state } = record;
    const isSame = (): boolean => this.#deps.gates.get(record).epoch === gate.epoch;
    // A release from an open gate is short.
    const shouldContinue = async (): Promise<boolean> =>
      (state === 'open' || (!this.#isStopped && isSame())) && (await lease.renew(LEASE_MS));
    const isDone = await this.#deps.release(record, shouldContinue);
    if (!isDone) return this.#apply(gate, { kind: 'drainInterrupted' });
    const isDetached = state === 'destroyed' && (await this.#isDetached(record));
    await this.#apply(gate, { kind: 'drained', isDetached });
  }

  /** The tenant is gone, or the key is not its current one any more. */
  async #isDetached({ tenant, keyArn, wasCurrent }: GateRecord): Promise<boolean> {
    const owner = await this.#deps.ownerOf(tenant);
    return !owner || (wasCurrent && owner.keyArn !== keyArn);
  }

  /** Drops the event if the gate was changed since it was read. */
  async #apply(gate: Gate, event: GateEvent): Promise<void> {
    await this.#deps.gates.apply(gate.record!, event, gate);
  }
}
