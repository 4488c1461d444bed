// Next gate records: pure functions that compute the record after each rule of the state machine.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Code, SealdexError } from '../runtime/errors.ts';
import type { GateEvent, GateEventKind } from './gate-events.ts';
import { isClosed, type GateRecord } from './gate-record.ts';
import { confirmProbe, firstProbe, longestProbe, nextProbe, type ProbeTimes } from './schedule.ts';

interface TransitionSettings extends ProbeTimes {
  /** 0 to 1. */
  readonly random: () => number;
}

/** An event that happens to a gate at a time (wall clock, milliseconds). */
export interface Step<E extends GateEvent = GateEvent> {
  readonly key: KeyRef;
  readonly record: GateRecord | undefined;
  readonly event: E;
  readonly now: number;
  readonly settings: TransitionSettings;
}

export type StepOf<K extends GateEventKind> = Step<Extract<GateEvent, { kind: K }>>;

export const toDraining = ({ record }: Step): GateRecord => ({
  ...record!,
  state: 'draining',
  goodProbes: 0,
  nextProbe: 0,
});
export const toOpen = ({ record, now }: Step): GateRecord => ({ ...record!, state: 'open', since: now });
export const postponed = ({ record, now, settings }: Step): GateRecord => ({
  ...record!,
  nextProbe: now + settings.probeMinMs,
});

export const inconclusive = (step: Step): GateRecord => ({
  ...postponed(step),
  probes: step.record!.probes + 1,
  goodProbes: 0,
});

const keyOf = ({ tenant, keyArn }: KeyRef): KeyRef => keyRef(tenant, keyArn);

export function shutByKey(step: StepOf<'keyFailed'>): GateRecord {
  const { key, record, event, now, settings } = step;
  // Jobs from the time when it was the current key may still be draining; the gate of a former key would keep them.
  const isStillReleased = record?.state === 'draining' && record.wasCurrent;
  return {
    ...keyOf(key),
    state: 'shut',
    since: now,
    codeSince: now,
    ...explanationOf(event.error),
    wasCurrent: isStillReleased || event.isCurrent,
    probes: 0,
    goodProbes: 0,
    nextProbe: now + firstProbe(settings, settings.random),
  };
}

/** A probe of a stopped gate reads the tenant file, and never calls KMS. */
export function stopped(
  { key, record, event, now, settings }: StepOf<'operatorStopped' | 'tenantDeleted'>,
  { code, since, reason }: { readonly code: Code; readonly since: number; readonly reason: string },
): GateRecord {
  const before = isClosed({ record }) ? record : undefined;
  return {
    ...keyOf(key),
    state: 'shut',
    code,
    since: before?.since ?? now,
    codeSince: since,
    note: reason,
    wasCurrent: event.isCurrent,
    probes: before?.probes ?? 0,
    goodProbes: 0,
    nextProbe: now + firstProbe(settings, settings.random),
  };
}

/** A probe would find that the tenant is deleted, and open the gate. It is delayed until after the wait, as far as allowed. */
export function stoppedByDeletion(step: StepOf<'tenantDeleted'>): GateRecord {
  const { event, now, settings } = step;
  const stop = { code: 'TENANT_PAUSED', since: event.at, reason: 'the tenant was deleted' } as const;
  return { ...stopped(step, stop), nextProbe: now + Math.min(event.settledMs, longestProbe(settings)) };
}

export const halfOpen = ({ record, now, settings }: Step): GateRecord => ({
  ...record!,
  probes: record!.probes + 1,
  goodProbes: 1,
  nextProbe: now + confirmProbe(settings),
});

export function stillShut(step: StepOf<'probeFailed' | 'keyGone'>): GateRecord {
  const { event, now, settings } = step;
  const record = step.record!;
  const { code } = event.error;
  const probes = record.probes + 1;
  const shutMs = now - record.since;
  return {
    ...keyOf(record),
    state: 'shut',
    since: record.since,
    codeSince: code === record.code ? record.codeSince : now,
    ...explanationOf(event.error),
    wasCurrent: record.wasCurrent,
    probes,
    goodProbes: 0,
    nextProbe: now + nextProbe(settings, { probes, shutMs, code }, settings.random),
  };
}

export const toDestroyed = (step: StepOf<'keyGone'>): GateRecord => ({
  ...stillShut(step),
  state: 'destroyed',
  code: 'KEY_DESTROYED',
  codeSince: step.now,
});

type Explanation = Pick<GateRecord, 'code' | 'reason' | 'deniedBy' | 'requestId' | 'deletesAt'>;

/** Request id of the failed call. It is text of the server, so an invalid one is dropped. */
const requestIdOf = ({ requestId = '' }: SealdexError): string | undefined =>
  /^[\w-]{1,100}$/.test(requestId) ? requestId : undefined;

function explanationOf(error: SealdexError): Explanation {
  const { code, reason, deniedBy, deletesAt } = error;
  const requestId = requestIdOf(error);
  return {
    code,
    ...(reason === undefined ? {} : { reason }),
    ...(deniedBy === undefined ? {} : { deniedBy }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(deletesAt === undefined ? {} : { deletesAt }),
  };
}
