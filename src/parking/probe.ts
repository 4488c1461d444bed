// Probing: a KMS key whose gate is shut is tried by one process of the fleet at a time, and two good tries open the gate.
// Then the parked jobs are released, by whoever has the lease. How a key is tried and how jobs are released is given.
import { askedBy } from '../runtime/audit-log.ts';
import { repeat, withDeadline, type Clock, type Loop } from '../runtime/clock.ts';
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import { takeLease, type Lease } from '../runtime/lease.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { gateId } from '../runtime/names.ts';
import { MAX_SKEW_MS, type Redis, type RedisKeys } from '../runtime/redis.ts';
import type { GateOwner, Gates } from './gate.ts';
import { dropGate, type Gate, type GateRecord } from './gate-record.ts';
import { confirmProbe, nextProbe, type ProbeTimes } from './schedule.ts';
import { requestIdOf } from './key-monitor.ts';
import { isByOperator, released, shutByWord } from './operator-stop.ts';

export interface ProbeDeps {
  readonly gates: Gates;
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly times: ProbeTimes;
  /** What the tenant's file says, past no cache; undefined when there is no such tenant any more. */
  readonly ownerOf: (tenant: string) => Promise<GateOwner | undefined>;
  /** What the operator says of this KMS key of the tenant. */
  readonly shutByOperator: (tenant: string, keyArn: string) => Promise<GateOwner['shutByOperator']>;
  /** Real calls: GenerateDataKey, then Decrypt of what it gave. @throws SealdexError of KMS */
  readonly tryKey: (tenant: string, keyArn: string) => Promise<void>;
  readonly platformKeyWorks: () => Promise<boolean>;
  /**
   * Releases what is parked at the gate, oldest first, as long as `goesOn` says so.
   * @returns whether nothing is left
   */
  readonly release: (gate: GateRecord, goesOn: () => Promise<boolean>) => Promise<boolean>;
  /** Ends what is parked at the gate for longer than it may be. */
  readonly expire: (gate: GateRecord) => Promise<void>;
}

/** What a try alone needs. */
export type ProbingDeps = Omit<ProbeDeps, 'release' | 'expire'>;

export interface Probe {
  /** Looks at every gate that is due. */
  tick(): Promise<void>;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 1000;
const LEASE_MS = 30_000;
const AT_ONCE = 16;
const STOP_MS = 400;

/** A key that KMS does not know may be a new one on its way through AWS. */
const NOT_FOUND_GRACE_MS = 86_400_000;

/** A gate that is open again is remembered for a process that was frozen meanwhile. */
const OPEN_KEPT_MS = 3_600_000;

export function startProbe(deps: ProbeDeps): Probe {
  const prober = new Prober(deps);
  // A try may hang on a slow key store: the next look does not wait for it.
  const loop: Loop = repeat(
    deps.clock,
    LOOK_EVERY_MS,
    async () => void askedBy({ activity: 'probe' }, () => prober.begin()),
  );
  return {
    tick: () => prober.tick(),
    async stop() {
      prober.stop();
      const ended = Promise.all([loop.stop(), prober.ended()]);
      // What hangs on KMS or Redis ends with those; its lease runs out.
      await withDeadline(deps.clock, STOP_MS, ended, () => new Error('late')).catch(() => {});
    },
  };
}

/** Tries one gate now, for who has no loop. Answers as `Probe.now`. */
export function probeOnce(deps: ProbingDeps, gate: Gate): Promise<Gate | undefined> {
  const prober = new Prober({ ...deps, release: async () => false, expire: async () => {} });
  return prober.underLease(gate, (fresh) => prober.probe(fresh));
}

class Prober {
  readonly #deps: ProbeDeps;
  /** By gate: what this process is doing about it. */
  readonly #tries = new Map<string, Promise<unknown>>();
  readonly #releases = new Map<string, Promise<unknown>>();
  #turn = 0;
  #isStopped = false;

  constructor(deps: ProbeDeps) {
    this.#deps = deps;
  }

  stop(): void {
    this.#isStopped = true;
  }

  async ended(): Promise<void> {
    await Promise.allSettled([...this.#tries.values(), ...this.#releases.values()]);
  }

  /** Begins what is due, and waits for the tries; a release goes on beside it, since it may take minutes. */
  async tick(): Promise<void> {
    await Promise.all(this.begin());
  }

  /** Begins what is due, each time with another gate first, so that many that take long do not keep the rest waiting. */
  begin(): Promise<unknown>[] {
    const all = this.#deps.gates.all();
    const from = all.length === 0 ? 0 : (this.#turn += AT_ONCE) % all.length;
    const tries: Promise<unknown>[] = [];
    for (const gate of [...all.slice(from), ...all.slice(0, from)]) {
      const { record } = gate;
      if (!record || this.#isStopped || !this.#isDue(record)) continue;
      const isTry = record.state === 'shut' || record.state === 'open';
      const running = isTry ? this.#tries : this.#releases;
      const id = gateId(record.tenant, record.keyArn);
      if (running.has(id) || running.size >= AT_ONCE) continue;
      const work = this.underLease(gate, (fresh, lease) => this.#work(fresh, lease)).catch(() => {});
      const tracked = work.finally(() => running.delete(id));
      running.set(id, tracked);
      if (isTry) tries.push(tracked);
    }
    return tries;
  }

  #isDue({ state, since, nextProbe: at }: GateRecord): boolean {
    const { clock, times } = this.#deps;
    const now = clock.now();
    if (state === 'open') return now - since > OPEN_KEPT_MS;
    // A time that no schedule gives was written by a process whose clock is wrong.
    return state === 'draining' || at <= now || at > now + 2 * times.probeMaxMs + MAX_SKEW_MS;
  }

  /** Another process may have been at it a moment ago: what counts is what stands in Redis now. */
  async underLease(gate: Gate, work: (fresh: Gate, lease: Lease) => Promise<void>): Promise<Gate | undefined> {
    const { redis, keys, gates } = this.#deps;
    const { tenant, keyArn } = gate.record!;
    const lease = await takeLease(redis, keys.lease(`gate:${gateId(tenant, keyArn)}`), LEASE_MS);
    if (!lease) return undefined;
    try {
      const fresh = await gates.read(tenant, keyArn);
      if (fresh.record) await work(fresh, lease);
      return await gates.read(tenant, keyArn);
    } finally {
      await lease.free().catch(() => {});
    }
  }

  async #work(gate: Gate, lease: Lease): Promise<void> {
    const { redis, keys } = this.#deps;
    const record = gate.record!;
    if (!this.#isDue(record)) return;
    if (record.state === 'shut') {
      await this.#deps.expire(record);
      return this.probe(gate);
    }
    if (record.state === 'open') {
      // Whoever parked a job here just when it was opened may have died before it could release it.
      await this.#deps.release(record, () => lease.renew(LEASE_MS));
      return dropGate(redis, keys, gateId(record.tenant, record.keyArn), gate.epoch);
    }
    return this.#release(gate, lease);
  }

  /** Decides by the tenant's file, the operator's word, and KMS, in this order. */
  async probe(gate: Gate): Promise<void> {
    const record = gate.record!;
    const { tenant, keyArn } = record;
    if (record.state !== 'shut') return;
    // Each job says for itself what it needs.
    if (await this.#isLeft(record)) return this.#open(gate, 'KeyChanged');
    const operator = await this.#deps.shutByOperator(tenant, keyArn);
    if (operator) return this.#shutBy(gate, operator);
    if (isByOperator(record.code)) return this.#open(gate, 'Operator');
    await this.#try(gate);
  }

  async #try(gate: Gate): Promise<void> {
    const { tryKey, metrics, clock, times } = this.#deps;
    const record = gate.record!;
    const probes = record.probes + 1;
    const now = clock.now();
    const later = (code: Code): number => now + nextProbe(times, { probes, shutMs: now - record.since, code });
    try {
      await tryKey(record.tenant, record.keyArn);
    } catch (error) {
      const fault = error instanceof SealdexError ? error : new SealdexError('INTERNAL');
      metrics.count('sealdex_probes_total', { result: fault.code });
      // An outage or a throttled account says nothing of the key, but the two good tries must follow on each other.
      if (dispositionOf(fault.code).disposition !== 'park')
        return this.#change(gate, { ...record, probes, goodProbes: 0, nextProbe: now + times.probeMinMs });
      return this.#refused(gate, fault, { probes, nextProbe: later(fault.code) });
    }
    metrics.count('sealdex_probes_total', { result: 'ok' });
    if (record.goodProbes === 0)
      return this.#change(gate, { ...record, probes, goodProbes: 1, nextProbe: now + confirmProbe(times) });
    // Who asks again at once, out of turn, has not waited for a key that flaps.
    if (now >= record.nextProbe) await this.#open(gate, 'Probes');
  }

  async #refused(gate: Gate, fault: SealdexError, times: { probes: number; nextProbe: number }): Promise<void> {
    const { clock, platformKeyWorks, log } = this.#deps;
    const { code, reason, deletesAt, deniedBy } = fault;
    const requestId = requestIdOf(fault);
    const record = unexplained(gate.record!);
    const codeSince = code === record.code ? record.codeSince : clock.now();
    const now = {
      ...record,
      ...times,
      code,
      codeSince,
      goodProbes: 0,
      ...(reason === undefined ? {} : { reason }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(deletesAt === undefined ? {} : { deletesAt }),
      ...(deniedBy === undefined ? {} : { deniedBy }),
    };
    const isOver = code === 'KEY_NOT_FOUND' && clock.now() - codeSince >= NOT_FOUND_GRACE_MS;
    // With a wrong region or endpoint there is no key at all, not even ours.
    if (!isOver || !(await platformKeyWorks())) return this.#change(gate, now);
    log.error({ tenant: record.tenant, key: record.keyArn, code: 'KEY_DESTROYED' }, 'a KMS key is gone for good');
    await this.#change(gate, { ...now, state: 'destroyed', code: 'KEY_DESTROYED', codeSince: clock.now() });
  }

  async #shutBy(gate: Gate, word: NonNullable<GateOwner['shutByOperator']>): Promise<void> {
    const { clock, times } = this.#deps;
    const now = clock.now();
    await this.#change(gate, shutByWord(gate, gate.record!, word, now, now + times.probeMinMs));
  }

  async #open(gate: Gate, why: string): Promise<void> {
    const { log, clock } = this.#deps;
    const { tenant, keyArn, code, since } = gate.record!;
    log.info({ tenant, key: keyArn, code, why, shutMs: clock.now() - since }, 'a gate is opened');
    await this.#change(gate, released(gate.record!));
  }

  async #release(gate: Gate, lease: Lease): Promise<void> {
    const { gates, clock, times } = this.#deps;
    const record = gate.record!;
    const { tenant, keyArn, state } = record;
    const goesOn = async (): Promise<boolean> =>
      !this.#isStopped && gates.look(tenant, keyArn).epoch === gate.epoch && (await lease.renew(LEASE_MS));
    const isDone = await this.#deps.release(record, goesOn);
    if (state === 'destroyed' && !(isDone && (await this.#isLeft(record))))
      return this.#change(gate, { ...record, nextProbe: clock.now() + times.probeMinMs });
    if (isDone) await this.#change(gate, { ...record, state: 'open', since: clock.now() });
  }

  /** Nobody's gate, or one of a key that is not the tenant's current one any more. */
  async #isLeft({ tenant, keyArn, wasCurrent }: GateRecord): Promise<boolean> {
    const owner = await this.#deps.ownerOf(tenant);
    return !owner || (wasCurrent && owner.keyArn !== keyArn);
  }

  /** Whoever has changed the gate meanwhile knows better. */
  async #change(gate: Gate, record: GateRecord): Promise<void> {
    await this.#deps.gates.change(gate.epoch, record);
  }
}

/** Without what was told of the code that it had. */
function unexplained(record: GateRecord): GateRecord {
  const {
    reason: _reason,
    requestId: _requestId,
    deletesAt: _deletesAt,
    deniedBy: _deniedBy,
    note: _note,
    ...rest
  } = record;
  return rest;
}
