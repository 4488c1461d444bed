// The gates as a process sees them: may a tenant's jobs under a KMS key proceed. Told by the others at once, and healed by
// a look at one epoch each second, so that a message that was lost costs a second.
// When a gate is shut or opened is decided in verdict.ts and probe.ts; what stands in Redis is record.ts' business.
import { repeat, type Clock } from '../runtime/clock.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import { gateId } from '../runtime/names.ts';
import { ask, type Redis, type RedisKeys } from '../runtime/redis.ts';
import type { Word } from './operator-stop.ts';
import {
  changeGate,
  isClosed,
  NO_GATE,
  parseChange,
  readEpoch,
  readGate,
  readGates,
  type Gate,
  type GateRecord,
} from './gate-record.ts';

export { isClosed, type Gate, type GateRecord, type GateState } from './gate-record.ts';

/** Whose gate is asked about: what a tenant's file says of its current KMS key. */
export interface GateOwner {
  readonly tenant: string;
  readonly keyArn: string;
  /** The operator's own word, which stands in the tenant's file. */
  readonly shutByOperator?: Word | undefined;
}

export interface Gates {
  /**
   * Whether work under the key may proceed: undefined, or why not.
   * @returns SealdexError with the gate's code, `keyArn` and `since`; `GATE_UNKNOWN` when nobody could look for 5 s
   */
  readonly refusal: (owner: GateOwner) => SealdexError | undefined;
  /** As this process knows it now. */
  look(tenant: string, keyArn: string): Gate;
  /** All that have a record. */
  all(): readonly Gate[];
  /** Past what this process knows. */
  read(tenant: string, keyArn: string): Promise<Gate>;
  /** Changes a gate if it is still at `seenEpoch`, tells all processes, and answers whether it did. */
  change(seenEpoch: number, record: GateRecord): Promise<boolean>;
  /** A tick, when nobody could look for 5 s; undefined: what this process knows counts. @throws SealdexError `REDIS_FAILED` */
  lookAgain(): Promise<void> | undefined;
  /** Reads all gates again if any has changed since. */
  readonly tick: () => Promise<void>;
  /** Reads all gates again. */
  readonly reload: () => Promise<void>;
  stop(): Promise<void>;
}

export interface GatesDeps {
  readonly redis: Redis;
  /** A connection of its own, to hear of changes. */
  readonly subscriber: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  /** Hears of every gate that was open to this process and is not any more. */
  readonly onShut: (gate: GateRecord) => void;
}

const LOOK_EVERY_MS = 1000;
const READ_ALL_MS = 60_000;

/** A gate that nobody could read for this long is unknown. */
export const UNKNOWN_MS = 5000;

/** @throws SealdexError `REDIS_FAILED` */
export async function openGates(deps: GatesDeps): Promise<Gates> {
  const { redis, subscriber, keys, clock } = deps;
  const view = new GateView(deps);
  const onMessage = (channel: string, message: string): void => {
    if (channel !== keys.gateChanged) return;
    const change = parseChange(message);
    if (change) view.hear(change.epochOfAll, change.id, change.gate);
  };
  const onReady = (): void => view.doubt();
  const unlisten = (): void => {
    subscriber.off('message', onMessage).off('ready', onReady);
    redis.off('ready', onReady);
  };
  subscriber.on('message', onMessage).on('ready', onReady);
  redis.on('ready', onReady);
  try {
    await ask(subscriber.subscribe(keys.gateChanged));
    await view.tick();
  } catch (error) {
    unlisten();
    throw error;
  }
  const loop = repeat(clock, LOOK_EVERY_MS, () => view.tick());
  return {
    refusal: (owner) => view.refusal(owner),
    look: (tenant, keyArn) => view.gate(gateId(tenant, keyArn)),
    all: () => view.all(),
    read: (tenant, keyArn) => readGate(redis, keys, gateId(tenant, keyArn)),
    change: (seenEpoch, record) => view.change(seenEpoch, record),
    lookAgain: () => view.lookAgain(),
    tick: () => view.tick(),
    reload: () => view.reload(),
    async stop() {
      unlisten();
      // A look that hangs on Redis ends with its connection.
      void loop.stop();
    },
  };
}

class GateView {
  readonly #deps: GatesDeps;
  #gates = new Map<string, Gate>();
  /** One refusal for all jobs of a gate: they may be many thousands a second. */
  readonly #refusals = new WeakMap<GateRecord, SealdexError>();
  /** Asked for each part that is read, where a hash would be half of the work. */
  readonly #ids = new WeakMap<GateOwner, string>();
  #epochOfAll = -1;
  #readAt = Number.NEGATIVE_INFINITY;
  #allReadAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(deps: GatesDeps) {
    this.#deps = deps;
  }

  gate(id: string): Gate {
    return this.#gates.get(id) ?? NO_GATE;
  }

  all(): readonly Gate[] {
    return [...this.#gates.values()];
  }

  refusal(owner: GateOwner): SealdexError | undefined {
    const { keyArn, shutByOperator } = owner;
    if (shutByOperator) return refusalOf(shutByOperator.code, keyArn, shutByOperator.since);
    if (this.#isUnknown()) return new SealdexError('GATE_UNKNOWN');
    const { record } = this.gate(this.#idOf(owner));
    if (record?.state !== 'shut' && record?.state !== 'destroyed') return undefined;
    let refusal = this.#refusals.get(record);
    if (!refusal) this.#refusals.set(record, (refusal = refusalOf(record.code, keyArn, record.since, record)));
    return refusal;
  }

  #idOf(owner: GateOwner): string {
    let id = this.#ids.get(owner);
    if (id === undefined) this.#ids.set(owner, (id = gateId(owner.tenant, owner.keyArn)));
    return id;
  }

  #isUnknown(): boolean {
    return this.#deps.clock.monotonic() - this.#readAt > UNKNOWN_MS;
  }

  /** However many ask, it looks once. */
  lookAgain(): Promise<void> | undefined {
    if (!this.#isUnknown()) return undefined;
    return (this.#looking ??= this.tick().finally(() => (this.#looking = undefined)));
  }

  /** In the order of the epochs; one that was missed is found at the next look. */
  hear(epochOfAll: number, id: string, gate: Gate): void {
    this.#put(id, gate);
    // The answer to a change that was refused tells of another gate than the one that was changed last.
    if (epochOfAll === this.#epochOfAll + 1 && epochOfAll === gate.epoch) this.#epochOfAll = epochOfAll;
  }

  async change(seenEpoch: number, record: GateRecord): Promise<boolean> {
    const { redis, keys } = this.#deps;
    const id = gateId(record.tenant, record.keyArn);
    const stood = this.gate(id);
    const { changed, epochOfAll, gate } = await changeGate(redis, keys, seenEpoch, record);
    // Redis is right about what stood when it was asked.
    if (this.gate(id) === stood && stood.epoch > epochOfAll) this.#gates.delete(id);
    this.hear(epochOfAll, id, gate);
    return changed;
  }

  async tick(): Promise<void> {
    const { redis, keys, clock } = this.#deps;
    const askedAt = clock.monotonic();
    // A Redis that has lost its last second may give an epoch out again for another gate: the number alone would not tell.
    const isOld = askedAt - this.#allReadAt > READ_ALL_MS;
    if (isOld || !this.#isOf(await readEpoch(redis, keys))) await this.reload();
    this.#readAt = askedAt;
  }

  /** Nothing was told here that Redis does not know of. */
  #isOf(epochOfAll: number): boolean {
    return epochOfAll === this.#epochOfAll && this.all().every(({ epoch }) => epoch <= epochOfAll);
  }

  /** Redis is right about every gate but those of which something newer was told meanwhile. */
  async reload(): Promise<void> {
    const { redis, keys, clock } = this.#deps;
    const askedAt = clock.monotonic();
    const known = this.#epochOfAll;
    const stood = new Map(this.#gates);
    const { epochOfAll, gates } = await readGates(redis, keys);
    // What stood with a higher epoch was lost with Redis' last second, or never given by it.
    const isTold = (id: string): boolean => this.gate(id) !== stood.get(id) && this.gate(id).epoch > epochOfAll;
    for (const [id, gate] of gates) if (!isTold(id) || gate.epoch > this.gate(id).epoch) this.#set(id, gate);
    // Gone from Redis: dropped after long being open, or lost with it.
    for (const id of this.#gates.keys()) if (!gates.has(id) && !isTold(id)) this.#gates.delete(id);
    // Epochs only rise: this is another Redis, or one that has forgotten.
    this.#epochOfAll = epochOfAll < known ? epochOfAll : Math.max(epochOfAll, this.#epochOfAll);
    this.#allReadAt = askedAt;
  }

  /** What was read before the connection was lost may have been lost with it. */
  doubt(): void {
    this.#allReadAt = Number.NEGATIVE_INFINITY;
  }

  /** Old news change nothing: a message and a look may cross. */
  #put(id: string, gate: Gate): void {
    if (gate.epoch > this.gate(id).epoch) this.#set(id, gate);
  }

  #set(id: string, gate: Gate): void {
    const before = this.gate(id);
    this.#gates.set(id, gate);
    if (gate.record && isClosed(gate) && !isClosed(before)) this.#deps.onShut(gate.record);
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
