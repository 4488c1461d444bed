// Gate view: a process's view of all gates, kept current by messages, by the results of its own changes, and by polling.
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import { Listeners } from '../runtime/listeners.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import type { OperatorStop } from '../tenants/operator-stop.ts';
import { isClosed, newerGate, NO_GATE, type Gate, type GateRecord } from './gate-record.ts';
import { readEpoch, readGates, replaceGate, type Replaced, type Replacement } from './gate-storage.ts';
import { isClosing } from './transitions.ts';

/** The tenant and KMS key of a gate, from the tenant file. */
export interface GateOwner extends KeyRef {
  /** The stop that applies to the key, from the tenant file. */
  readonly operatorStop?: OperatorStop | undefined;
}

export interface GateViewDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
}

const READ_ALL_MS = 60_000;

/** A gate that could not be read for this long is unknown. */
export const UNKNOWN_MS = 5000;

export class GateView {
  /** Gates that this process used and that have closed: their data keys must be zeroed. */
  readonly closed = new Listeners<GateRecord>();
  readonly #deps: GateViewDeps;
  #gates = new Map<string, Gate>();
  /** One error object for all jobs of a gate, which may be thousands per second. */
  readonly #refusals = new WeakMap<GateRecord, SealdexError>();
  /** Cache: the check runs for each part that is read, and hashing would be half of its cost. */
  readonly #ids = new WeakMap<GateOwner, string>();
  #epochOfAll = -1;
  #readAt = Number.NEGATIVE_INFINITY;
  #allReadAt = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;

  constructor(deps: GateViewDeps) {
    this.#deps = deps;
  }

  get(id: string): Gate {
    return this.#gates.get(id) ?? NO_GATE;
  }

  all(): readonly Gate[] {
    return [...this.#gates.values()];
  }

  refusal(owner: GateOwner): SealdexError | undefined {
    const { keyArn, operatorStop } = owner;
    if (operatorStop) return refusalOf(operatorStop.code, keyArn, operatorStop.since);
    if (this.#isUnknown()) return new SealdexError('GATE_UNKNOWN');
    const { record, isNewer } = this.get(this.#idOf(owner));
    if (isNewer) return newerGate(owner);
    if (!record || !isClosed({ record })) return undefined;
    let refusal = this.#refusals.get(record);
    if (!refusal) this.#refusals.set(record, (refusal = refusalOf(record.code, keyArn, record.since, record)));
    return refusal;
  }

  #idOf(owner: GateOwner): string {
    let id = this.#ids.get(owner);
    if (id === undefined) this.#ids.set(owner, (id = gateId(owner)));
    return id;
  }

  #isUnknown(): boolean {
    return this.#deps.clock.monotonic() - this.#readAt > UNKNOWN_MS;
  }

  /** Reads once, however many callers there are. */
  refresh(): Promise<void> | undefined {
    if (!this.#isUnknown()) return undefined;
    return (this.#refreshing ??= this.tick().finally(() => (this.#refreshing = undefined)));
  }

  /** In the order of the epochs; the next poll finds a message that was lost. */
  applyMessage(epochOfAll: number, id: string, gate: Gate): void {
    this.#put(id, gate);
    // The result of a rejected change contains another epoch than that of the last change.
    if (epochOfAll === this.#epochOfAll + 1 && epochOfAll === gate.epoch) this.#epochOfAll = epochOfAll;
  }

  async replace(id: string, seenEpoch: number, replacement: Replacement): Promise<Replaced> {
    const { redis, keys } = this.#deps;
    const before = this.get(id);
    const replaced = await replaceGate(redis, keys, id, seenEpoch, replacement);
    const { epochOfAll, gate } = replaced;
    // A gate with an epoch that Redis has not reached was never there, or is lost.
    if (this.get(id) === before && before.epoch > epochOfAll) this.#gates.delete(id);
    this.applyMessage(epochOfAll, id, gate);
    return replaced;
  }

  async tick(): Promise<void> {
    const { redis, keys, clock } = this.#deps;
    const startedAt = clock.monotonic();
    // A Redis that has lost its last second of data may assign an epoch twice, which the number alone would not show.
    const isOld = startedAt - this.#allReadAt > READ_ALL_MS;
    if (isOld || !this.#isOf(await readEpoch(redis, keys))) await this.reload();
    this.#readAt = startedAt;
  }

  /** No gate here has an epoch that Redis has not reached. */
  #isOf(epochOfAll: number): boolean {
    return epochOfAll === this.#epochOfAll && this.all().every(({ epoch }) => epoch <= epochOfAll);
  }

  /** The state in Redis replaces the view, except for gates that a newer message has changed meanwhile. */
  async reload(): Promise<void> {
    const { redis, keys, clock } = this.#deps;
    const startedAt = clock.monotonic();
    const known = this.#epochOfAll;
    const before = new Map(this.#gates);
    const { epochOfAll, gates } = await readGates(redis, keys);
    // A gate that had a higher epoch before was lost with Redis's last second, or never written by it.
    const isNewer = (id: string): boolean => this.get(id) !== before.get(id) && this.get(id).epoch > epochOfAll;
    for (const [id, gate] of gates) if (!isNewer(id) || gate.epoch > this.get(id).epoch) this.#set(id, gate);
    // Not in Redis any more: removed after it was open for an hour, or lost.
    for (const id of this.#gates.keys()) if (!gates.has(id) && !isNewer(id)) this.#gates.delete(id);
    // Epochs only rise: this is another Redis, or one that has lost data.
    this.#epochOfAll = epochOfAll < known ? epochOfAll : Math.max(epochOfAll, this.#epochOfAll);
    this.#allReadAt = startedAt;
  }

  /** Call after a lost connection: Redis may have lost gates that were read before. */
  invalidate(): void {
    this.#allReadAt = Number.NEGATIVE_INFINITY;
  }

  /** An older gate changes nothing: a message and a poll may cross. */
  #put(id: string, gate: Gate): void {
    if (gate.epoch > this.get(id).epoch) this.#set(id, gate);
  }

  #set(id: string, gate: Gate): void {
    const before = this.get(id);
    this.#gates.set(id, gate);
    if (gate.record && isClosing(before.record, gate.record)) this.closed.notify(gate.record);
  }
}

function refusalOf(code: Code, keyArn: string, since: number, record?: GateRecord): SealdexError {
  return new SealdexError(code, undefined, {
    keyArn,
    since,
    ...(record?.reason === undefined ? {} : { reason: record.reason }),
    ...(record?.deletesAt === undefined ? {} : { deletesAt: record.deletesAt }),
  });
}
