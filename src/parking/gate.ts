// Gates: whether a tenant's jobs may proceed under a KMS key, from this process's view, and changes of a gate by events.
// Changes are published, and every process polls one epoch each second, so that a lost message delays a change by one second.
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import { repeat, type Clock } from '../runtime/clock.ts';
import type { SealdexError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { compareAndSetGate, type GateUpdate } from './compare-and-set.ts';
import type { GateEvent } from './gate-events.ts';
import type { Gate, GateRecord } from './gate-record.ts';
import { parseChange, readGate } from './gate-storage.ts';
import { GateView, type GateOwner } from './gate-view.ts';
import type { ProbeTimes } from './schedule.ts';

export { isClosed, type GateRecord, type GateState } from './gate-record.ts';
export { UNKNOWN_MS, type GateOwner } from './gate-view.ts';

export interface Gates {
  /**
   * Whether work under the key may proceed: undefined, or why not.
   * @returns SealdexError with the gate's code, `keyArn` and `since`; `GATE_UNKNOWN` if gates could not be read for 5 s, or a
   * newer release wrote the gate
   */
  readonly refusal: (owner: GateOwner) => SealdexError | undefined;
  /** From this process's view. */
  get(key: KeyRef): Gate;
  /** All gates with a record. */
  all(): readonly Gate[];
  /** From Redis. */
  read(key: KeyRef): Promise<Gate>;
  /**
   * Applies an event, and publishes the change. With `seen`, only if the gate is unchanged since.
   * @throws SealdexError `REDIS_FAILED`; `TENANT_CHANGED` after losing the race repeatedly
   */
  apply(key: KeyRef, event: GateEvent, seen?: Gate): Promise<GateUpdate>;
  /** Calls the listener with every gate that this process used and that has closed. */
  onClosed(listener: (gate: GateRecord) => void): void;
  /** Runs a tick if gates could not be read for 5 s; undefined if the view is current. @throws SealdexError `REDIS_FAILED` */
  refresh(): Promise<void> | undefined;
  /** Reads the gates that have changed since. */
  readonly tick: () => Promise<void>;
  stop(): Promise<void>;
}

export interface GatesDeps {
  readonly redis: Redis;
  /** A connection of its own, for the channel of changes. */
  readonly subscriber: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly times: ProbeTimes;
  /** Logs the gates that this process changes. */
  readonly log: Log;
}

const POLL_INTERVAL_MS = 1000;

/** @throws SealdexError `REDIS_FAILED` */
export async function openGates(deps: GatesDeps): Promise<Gates> {
  const { redis, keys, clock } = deps;
  const view = new GateView(deps);
  const unlisten = await listen(deps, view);
  const loop = repeat(clock, POLL_INTERVAL_MS, () => view.tick());
  const changes = {
    ...deps,
    read: (id: string) => readGate(redis, keys, id),
    replace: view.replace.bind(view),
  };
  return {
    refusal: (owner) => view.refusal(owner),
    get: (key) => view.get(gateId(key)),
    all: () => view.all(),
    read: (key) => readGate(redis, keys, gateId(key)),
    apply: (key, event, seen) => compareAndSetGate(changes, key, event, seen),
    onClosed: (listener) => void view.closed.add(listener),
    refresh: () => view.refresh(),
    tick: () => view.tick(),
    async stop() {
      unlisten();
      // A poll that hangs on Redis ends with its connection.
      void loop.stop();
    },
  };
}

/** Keeps the view current, beginning with a first read. Returns a function that ends it. */
async function listen({ redis, subscriber, keys }: GatesDeps, view: GateView): Promise<() => void> {
  const onMessage = (channel: string, message: string): void => {
    if (channel !== keys.gateChanged) return;
    const change = parseChange(message);
    if (change) view.apply(change);
  };
  const onReady = (): void => view.invalidate();
  const unlisten = (): void => {
    subscriber.off('message', onMessage).off('ready', onReady);
    redis.off('ready', onReady);
  };
  subscriber.on('message', onMessage).on('ready', onReady);
  redis.on('ready', onReady);
  try {
    await runCommand(subscriber.subscribe(keys.gateChanged));
    await view.tick();
  } catch (error) {
    unlisten();
    throw error;
  }
  return unlisten;
}
