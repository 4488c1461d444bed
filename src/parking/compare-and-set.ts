// Gate changes: the one function that changes a gate. It applies an event to the gate in Redis and performs the effects.
import { gateId, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GateEvent } from './gate-events.ts';
import { newerGate, type Gate } from './gate-record.ts';
import type { Replaced, Replacement } from './gate-storage.ts';
import type { ProbeTimes } from './schedule.ts';
import { transition } from './transitions.ts';

export interface CompareAndSetDeps {
  readonly read: (id: string) => Promise<Gate>;
  /** Replaces the gate if its epoch is still `seenEpoch`, and applies the result to this process's view. */
  readonly replace: (id: string, seenEpoch: number, replacement: Replacement) => Promise<Replaced>;
  readonly clock: Clock;
  readonly times: ProbeTimes;
  readonly log: Log;
}

export interface GateUpdate {
  /** False: the event changes nothing in this state, or the gate was changed since it was seen. */
  readonly isChanged: boolean;
  readonly gate: Gate;
}

const MAX_ROUNDS = 5;

/**
 * With `seen` the event was observed at that state of the gate, and is dropped if the gate was changed since.
 * Without `seen` it applies to the current gate; after a lost race it is decided again.
 * @throws SealdexError `REDIS_FAILED`; `GATE_UNKNOWN` if a newer release wrote the gate; `TENANT_CHANGED` after losing the race
 * repeatedly
 */
export async function compareAndSetGate(
  { read, replace, clock, times, log }: CompareAndSetDeps,
  key: KeyRef,
  event: GateEvent,
  seen?: Gate,
): Promise<GateUpdate> {
  const id = gateId(key);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const gate = seen ?? (await read(id));
    if (gate.isNewer) throw newerGate(key);
    const settings = { ...times, random: Math.random };
    const change = transition({ key, record: gate.record, event, now: clock.now(), settings });
    if (!change) return { isChanged: false, gate };
    const { record, effects } = change;
    const isPublished = effects.some(({ kind }) => kind === 'publish');
    const { isDone, gate: after } = await replace(id, gate.epoch, { record, isPublished });
    if (isDone)
      for (const effect of effects) if (effect.kind === 'log') log[effect.level](effect.facts, effect.message);
    if (isDone || seen) return { isChanged: isDone, gate: after };
  }
  throw new SealdexError('TENANT_CHANGED');
}
