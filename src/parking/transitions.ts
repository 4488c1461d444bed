// Gate state machine: one table of rules, and a pure function that applies it to a record and an event.
// Must not import Redis code: every change of a gate goes through compare-and-set.ts, which applies this table.
import type { KeyRef } from '../runtime/key-ref.ts';
import { MAX_SKEW_MS } from '../runtime/clock.ts';
import type { Code } from '../runtime/errors.ts';
import { faultOf } from '../runtime/fault.ts';
import type { GateEffect, GateEvent, GateEventKind, GateTask, LogEffect } from './gate-events.ts';
import { isClosed, isOperatorStop, type GateRecord, type GateState } from './gate-record.ts';
import {
  halfOpen,
  inconclusive,
  postponed,
  shutByKey,
  stillShut,
  stopped,
  stoppedByDeletion,
  toDestroyed,
  toDraining,
  toOpen,
  type Step,
} from './next-record.ts';
import { longestProbe, type ProbeTimes } from './schedule.ts';

/** State of a gate in the state machine: `none` has no record, `stopped` is shut by the operator. */
export type GatePhase = 'none' | GateState | 'stopped';

export const GATE_PHASES = ['none', 'open', 'shut', 'stopped', 'draining', 'destroyed'] as const;

export function phaseOf(record: GateRecord | undefined): GatePhase {
  if (!record) return 'none';
  return record.state === 'shut' && isOperatorStop(record.code) ? 'stopped' : record.state;
}

/** The gate after the event; without a record it is removed. */
export interface Transition {
  readonly record: GateRecord | undefined;
  readonly effects: readonly GateEffect[];
}

interface Rule<E extends GateEvent> {
  readonly from: readonly GatePhase[];
  readonly to: GatePhase;
  readonly when?: (step: Step<E>) => boolean;
  readonly next: (step: Step<E>) => GateRecord | undefined;
  readonly log?: (step: Step<E>) => LogEffect;
}

type Rules = { readonly [K in GateEventKind]: readonly Rule<Extract<GateEvent, { kind: K }>>[] };

/** A key that KMS does not find may be a new one that is not visible everywhere yet. */
const NOT_FOUND_GRACE_MS = 86_400_000;

/** The record of an opened gate is kept for processes that were frozen meanwhile. */
const OPEN_KEPT_MS = 3_600_000;

const opened =
  (why: string) =>
  ({ key, record, now }: Step): LogEffect => ({
    kind: 'log',
    level: 'info',
    facts: { tenant: key.tenant, key: key.keyArn, code: record!.code, why, shutMs: now - record!.since },
    message: 'gate opened',
  });

const parking = ({ tenant, keyArn }: KeyRef, facts: object): LogEffect => ({
  kind: 'log',
  level: 'warn',
  facts: { tenant, key: keyArn, ...facts },
  message: 'gate shut, parking jobs',
});

const OPEN = ['none', 'open', 'draining'] as const;
const CLOSED = ['shut', 'stopped', 'destroyed'] as const;

/** Whether a probe that fails with this code means that the key is gone, if KMS finds the platform key. */
export const isGraceOver = (record: GateRecord, code: Code, now: number): boolean =>
  code === 'KEY_NOT_FOUND' && code === record.code && now - record.codeSince >= NOT_FOUND_GRACE_MS;

const isForgettable = ({ since }: GateRecord, now: number): boolean => now - since > OPEN_KEPT_MS;

/** The first rule that matches applies. An event without a matching rule changes nothing. */
const RULES: Rules = {
  keyFailed: [{ from: OPEN, to: 'shut', next: shutByKey, log: ({ key, event }) => parking(key, faultOf(event.error)) }],
  operatorStopped: [
    {
      from: OPEN,
      to: 'stopped',
      next: (step) => stopped(step, step.event.stop),
      log: ({ key, event }) => parking(key, { code: event.stop.code }),
    },
    { from: CLOSED, to: 'stopped', next: (step) => stopped(step, step.event.stop) },
  ],
  operatorStopLifted: [{ from: ['stopped'], to: 'draining', next: toDraining, log: opened('Operator') }],
  operatorReleased: [{ from: CLOSED, to: 'draining', next: toDraining, log: opened('Operator') }],
  keyAttached: [{ from: ['shut', 'destroyed'], to: 'draining', next: toDraining, log: opened('KeyChanged') }],
  keyDetached: [{ from: CLOSED, to: 'draining', next: toDraining, log: opened('KeyChanged') }],
  probeSucceeded: [
    { from: ['shut'], to: 'shut', when: ({ record }) => record!.goodProbes === 0, next: halfOpen },
    // A probe by the operator comes at any time: it confirms nothing about a key that flaps.
    {
      from: ['shut'],
      to: 'draining',
      when: ({ record, now }) => now >= record!.nextProbe,
      next: toDraining,
      log: opened('Probes'),
    },
  ],
  probeFailed: [{ from: ['shut'], to: 'shut', next: stillShut }],
  // The two successful probes must be consecutive.
  probeInconclusive: [{ from: ['shut'], to: 'shut', next: inconclusive }],
  keyGone: [
    {
      from: ['shut'],
      to: 'destroyed',
      when: ({ record, event, now }) => isGraceOver(record!, event.error.code, now),
      next: toDestroyed,
      log: ({ key }) => ({
        kind: 'log',
        level: 'error',
        facts: { tenant: key.tenant, key: key.keyArn, code: 'KEY_DESTROYED' },
        message: 'KMS key permanently deleted',
      }),
    },
  ],
  drained: [
    { from: ['draining'], to: 'open', next: toOpen },
    { from: ['destroyed'], to: 'open', when: ({ event }) => event.isDetached, next: toOpen },
    { from: ['destroyed'], to: 'destroyed', next: postponed },
  ],
  drainInterrupted: [{ from: ['destroyed'], to: 'destroyed', next: postponed }],
  openExpired: [
    { from: ['open'], to: 'none', when: ({ record, now }) => isForgettable(record!, now), next: () => undefined },
  ],
  tenantDeleted: [{ from: [...OPEN, ...CLOSED], to: 'stopped', next: stoppedByDeletion }],
  tenantErased: [{ from: ['open', 'draining', ...CLOSED], to: 'none', next: () => undefined }],
};

/** Every edge of the state machine. */
export const EDGES: readonly { readonly from: GatePhase; readonly event: GateEventKind; readonly to: GatePhase }[] =
  Object.entries(RULES).flatMap(([event, rules]) =>
    rules.flatMap(({ from, to }) => from.map((phase) => ({ from: phase, event: event as GateEventKind, to }))),
  );

/** The gate after an event, and the effects; undefined if the event changes nothing. */
export function transition<E extends GateEvent>(step: Step<E>): Transition | undefined {
  const rules = RULES[step.event.kind] as unknown as readonly Rule<E>[];
  const phase = phaseOf(step.record);
  const rule = rules.find(({ from, when }) => from.includes(phase) && (when?.(step) ?? true));
  if (!rule) return undefined;
  const record = rule.next(step);
  const effects: GateEffect[] = [{ kind: 'publish' }];
  if (rule.log) effects.push(rule.log(step));
  return { record, effects };
}

/** Whether the change forbids the use of data keys that was allowed before; every process that receives it zeroes them. */
export const isClosing = (before: GateRecord | undefined, after: GateRecord | undefined): boolean =>
  isClosed({ record: after }) && !isClosed({ record: before });

const NO_TASKS: readonly GateTask[] = Object.freeze([]);

export function tasksDue(record: GateRecord, now: number, settings: ProbeTimes): readonly GateTask[] {
  if (record.state === 'draining') return ['releaseParked'];
  // A process that parked a job when the gate was being opened may have died before it could release it.
  if (record.state === 'open') return isForgettable(record, now) ? ['releaseParked', 'forget'] : NO_TASKS;
  // A time that no schedule gives was written by a process whose clock is wrong.
  const isDue = record.nextProbe <= now || record.nextProbe > now + longestProbe(settings) + MAX_SKEW_MS;
  if (!isDue) return NO_TASKS;
  return record.state === 'shut' ? ['expireParked', 'probe'] : ['releaseParked'];
}
