// Gate view: a process's view of all gates, kept current by messages, by the results of its own changes, and by polling.
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import { Listeners } from '../runtime/listeners.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import type { OperatorStop } from '../tenants/operator-stop.ts';
import { readChanges, readLastChange, type LastChange } from './gate-log.ts';
import { readGates, replaceGate, type GateAt, type Replaced, type Replacement } from './gate-storage.ts';
import { isClosed, newerGate, NO_GATE, type Gate, type GateRecord } from './gate-record.ts';
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

/** Interval of full reads while the log does not have the last change. */
const READ_ALL_MS = 60_000;

/** A gate that could not be read for this long is unknown. */
export const UNKNOWN_MS = 5000;

export class GateView {
  /** Gates that this process used and that have closed: their data keys must be zeroed. */
  readonly closed = new Listeners<GateRecord>();
  readonly #deps: GateViewDeps;
  readonly #gates = new Map<string, Gate>();
  /** All gates as a list; undefined after a change. */
  #all: readonly Gate[] | undefined;
  /** One error object for all jobs of a gate, which may be thousands per second. */
  readonly #refusals = new WeakMap<GateRecord, SealdexError>();
  /** Cache: the check runs for each part that is read, and hashing would be half of its cost. */
  readonly #ids = new WeakMap<GateOwner, string>();
  /** The change up to which this view has all changes. */
  #last: LastChange = { epochOfAll: -1, entry: undefined };
  /** Highest epoch of all that a message or a change of this process had. */
  #highest = -1;
  #readAt = Number.NEGATIVE_INFINITY;
  #allReadAt = Number.NEGATIVE_INFINITY;
  /** Number of lost connections, and the number at the start of the last full read. */
  #losses = 0;
  #lossesRead = -1;
  #refreshing: Promise<void> | undefined;

  constructor(deps: GateViewDeps) {
    this.#deps = deps;
  }

  get(id: string): Gate {
    return this.#gates.get(id) ?? NO_GATE;
  }

  all(): readonly Gate[] {
    return (this.#all ??= [...this.#gates.values()]);
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
  apply({ epochOfAll, id, gate, entry }: GateAt): void {
    this.#put(id, gate, epochOfAll);
    this.#highest = Math.max(this.#highest, epochOfAll);
    if (epochOfAll === this.#last.epochOfAll + 1 && entry !== undefined) this.#last = { epochOfAll, entry };
  }

  async replace(id: string, seenEpoch: number, replacement: Replacement): Promise<Replaced> {
    const { redis, keys } = this.#deps;
    const before = this.get(id);
    const replaced = await replaceGate(redis, keys, id, seenEpoch, replacement);
    // A gate with an epoch that Redis has not reached was never there, or is lost.
    if (this.get(id) === before && before.epoch > replaced.epochOfAll) this.#delete(id);
    this.apply(replaced);
    return replaced;
  }

  async tick(): Promise<void> {
    const startedAt = this.#deps.clock.monotonic();
    if (!(await this.#follow(startedAt))) await this.#readAll();
    this.#readAt = startedAt;
  }

  /** Reads the gates that changed. Returns false if all must be read. */
  async #follow(now: number): Promise<boolean> {
    const { redis, keys } = this.#deps;
    const [known, highest] = [this.#last, this.#highest];
    const last = await readLastChange(redis, keys);
    // Epochs only rise: this is another Redis, or one that has lost data, or sealdex did not write the message.
    if (this.#lossesRead !== this.#losses || highest > last.epochOfAll) return false;
    if (last.epochOfAll > known.epochOfAll) return this.#readChanges(known);
    // A Redis that has lost its last second of data may assign an epoch twice, which only the entry shows.
    return last.entry === undefined ? now - this.#allReadAt <= READ_ALL_MS : last.entry === known.entry;
  }

  async #readChanges(after: LastChange): Promise<boolean> {
    const { redis, keys } = this.#deps;
    const changes = await readChanges(redis, keys, after);
    if (!changes) return false;
    const { epochOfAll, gates, last } = changes;
    for (const [id, gate] of gates) this.#put(id, gate, epochOfAll);
    if (last.epochOfAll > this.#last.epochOfAll) this.#last = last;
    return last.epochOfAll >= epochOfAll || this.#readChanges(last);
  }

  /** The state in Redis replaces the view, except for gates that a newer message has changed meanwhile. */
  async #readAll(): Promise<void> {
    const { redis, keys, clock } = this.#deps;
    const startedAt = clock.monotonic();
    const [losses, highest] = [this.#losses, this.#highest];
    const before = new Map(this.#gates);
    const { last, gates } = await readGates(redis, keys);
    // A gate that had a higher epoch before was lost with Redis's last second, or never written by it.
    const isNewer = (id: string): boolean => this.get(id) !== before.get(id) && this.get(id).epoch > last.epochOfAll;
    for (const [id, gate] of gates) if (!isNewer(id) || gate.epoch > this.get(id).epoch) this.#set(id, gate);
    // Not in Redis any more: removed after it was open for an hour, or lost.
    for (const id of this.#gates.keys()) if (!gates.has(id) && !isNewer(id)) this.#delete(id);
    // A later message may have moved this on: the next poll reads the log from here.
    this.#last = last;
    if (this.#highest === highest) this.#highest = last.epochOfAll;
    this.#allReadAt = startedAt;
    this.#lossesRead = losses;
  }

  /** Call after a lost connection: Redis may have lost gates that were read before. */
  invalidate(): void {
    this.#losses += 1;
  }

  /** An older gate changes nothing: a message and a poll may cross. One without an epoch was not in Redis at `epochOfAll`. */
  #put(id: string, gate: Gate, epochOfAll: number): void {
    const { epoch } = this.get(id);
    if (gate.epoch > epoch) this.#set(id, gate);
    else if (gate.epoch === 0 && epoch <= epochOfAll) this.#delete(id);
  }

  #set(id: string, gate: Gate): void {
    const before = this.get(id);
    this.#gates.set(id, gate);
    this.#all = undefined;
    if (gate.record && isClosing(before.record, gate.record)) this.closed.notify(gate.record);
  }

  #delete(id: string): void {
    if (this.#gates.delete(id)) this.#all = undefined;
  }
}

function refusalOf(code: Code, keyArn: string, since: number, record?: GateRecord): SealdexError {
  return new SealdexError(code, undefined, {
    keyArn,
    since,
    ...(record?.reason === undefined ? {} : { reason: record.reason }),
    ...(record?.deletesAt === undefined ? {} : { deletesAt: record.deletesAt }),
    ...(record?.deniedBy === undefined ? {} : { deniedBy: record.deniedBy }),
  });
}
