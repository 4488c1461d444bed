// The gate state machine: every event in every state, the fields of the next record, and the diagram of the documentation.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import type { GateEffect, GateEvent, GateEventKind } from '../../src/parking/gate-events.ts';
import type { GateRecord } from '../../src/parking/gate-record.ts';
import {
  EDGES,
  isClosing,
  GATE_PHASES,
  phaseOf,
  tasksDue,
  transition,
  type GatePhase,
  type Transition,
} from '../../src/parking/transitions.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW = 1_800_000_000_000;
const KEY = keyRef('acme', 'arn:aws:kms:us-west-2:111122223333:key/one');
/** Jitter is a fifth either way: the middle has none. */
const SETTINGS = { probeMinMs: 30_000, probeMaxMs: 900_000, random: () => 0.5 };

/** Shut two days ago and due now, so that the time guards allow every event. */
const SHUT: GateRecord = {
  ...KEY,
  state: 'shut',
  code: 'KEY_NOT_FOUND',
  since: NOW - 2 * DAY_MS,
  codeSince: NOW - DAY_MS,
  reason: 'NotFoundException',
  requestId: 'r-1',
  wasCurrent: true,
  probes: 7,
  goodProbes: 1,
  nextProbe: NOW,
};

const RECORDS: Readonly<Record<GatePhase, GateRecord | undefined>> = {
  none: undefined,
  open: { ...SHUT, state: 'open', since: NOW - HOUR_MS - 1 },
  shut: SHUT,
  stopped: { ...SHUT, code: 'KEY_BLOCKED', note: 'leaked' },
  draining: { ...SHUT, state: 'draining', nextProbe: 0 },
  destroyed: { ...SHUT, state: 'destroyed', code: 'KEY_DESTROYED' },
};

const errorOf = (code: Code): SealdexError => new SealdexError(code, undefined, { reason: 'ByTest' });
const stop = { code: 'TENANT_PAUSED', since: 77, reason: 'incident' } as const;

const EVENTS = {
  keyFailed: { kind: 'keyFailed', error: errorOf('KEY_DISABLED'), isCurrent: true },
  operatorStopped: { kind: 'operatorStopped', stop, isCurrent: true },
  operatorStopLifted: { kind: 'operatorStopLifted' },
  operatorReleased: { kind: 'operatorReleased' },
  keyAttached: { kind: 'keyAttached' },
  keyDetached: { kind: 'keyDetached' },
  probeSucceeded: { kind: 'probeSucceeded' },
  probeFailed: { kind: 'probeFailed', error: errorOf('KEY_DISABLED') },
  probeInconclusive: { kind: 'probeInconclusive' },
  keyGone: { kind: 'keyGone', error: errorOf('KEY_NOT_FOUND') },
  drained: { kind: 'drained', isDetached: false },
  drainInterrupted: { kind: 'drainInterrupted' },
  openExpired: { kind: 'openExpired' },
  tenantDeleted: { kind: 'tenantDeleted', at: 55, settledMs: DAY_MS, isCurrent: true },
  tenantErased: { kind: 'tenantErased' },
} satisfies { [K in GateEventKind]: Extract<GateEvent, { kind: K }> };

const apply = (record: GateRecord | undefined, event: GateEvent): Transition | undefined =>
  transition({ key: KEY, record, event, now: NOW, settings: SETTINGS });

/** The next record of a gate that keeps one. */
const next = (record: GateRecord | undefined, event: GateEvent): GateRecord => apply(record, event)!.record!;

/** The next state, in the order of GATE_PHASES; `-` if the event changes nothing. */
const TABLE: readonly [GateEventKind, ...(GatePhase | '-')[]][] = [
  //                     none       open       shut         stopped     draining   destroyed
  ['keyFailed', 'shut', 'shut', '-', '-', 'shut', '-'],
  ['operatorStopped', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped'],
  ['operatorStopLifted', '-', '-', '-', 'draining', '-', '-'],
  ['operatorReleased', '-', '-', 'draining', 'draining', '-', 'draining'],
  ['keyAttached', '-', '-', 'draining', '-', '-', 'draining'],
  ['keyDetached', '-', '-', 'draining', 'draining', '-', 'draining'],
  ['probeSucceeded', '-', '-', 'draining', '-', '-', '-'],
  ['probeFailed', '-', '-', 'shut', '-', '-', '-'],
  ['probeInconclusive', '-', '-', 'shut', '-', '-', '-'],
  ['keyGone', '-', '-', 'destroyed', '-', '-', '-'],
  ['drained', '-', '-', '-', '-', 'open', 'destroyed'],
  ['drainInterrupted', '-', '-', '-', '-', '-', 'destroyed'],
  ['openExpired', '-', 'none', '-', '-', '-', '-'],
  ['tenantDeleted', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped', 'stopped'],
  ['tenantErased', '-', 'none', 'none', 'none', 'none', 'none'],
];

const CASES = TABLE.flatMap(([event, ...states]) => states.map((to, at) => [event, GATE_PHASES[at]!, to] as const));

describe('transition', () => {
  test('the table has every event and every state', () => {
    expect(TABLE.map(([event]) => event)).toEqual(Object.keys(EVENTS));
    expect(new Set(TABLE.map(({ length }) => length))).toEqual(new Set([GATE_PHASES.length + 1]));
    expect(GATE_PHASES.map((phase) => phaseOf(RECORDS[phase]))).toEqual(GATE_PHASES);
  });

  test.each(CASES)('%s in state %s leads to %s', (event, phase, to) => {
    const change = apply(RECORDS[phase], EVENTS[event]);
    expect(change ? phaseOf(change.record) : '-').toBe(to);
  });

  /** Events of the table above that a guard rejects. */
  const GUARDED: readonly [string, GateRecord, GateEvent, GatePhase | '-'][] = [
    ['a first successful probe', { ...SHUT, goodProbes: 0 }, EVENTS.probeSucceeded, 'shut'],
    ['an early confirming probe', { ...SHUT, nextProbe: NOW + 1 }, EVENTS.probeSucceeded, '-'],
    ['a key not found for less than 24 hours', { ...SHUT, codeSince: NOW - DAY_MS + 1 }, EVENTS.keyGone, '-'],
    ['a key that KMS found before', { ...SHUT, code: 'KEY_DISABLED' }, EVENTS.keyGone, '-'],
    ['a drain at a detached destroyed key', RECORDS.destroyed!, { kind: 'drained', isDetached: true }, 'open'],
    ['a gate open for an hour', { ...RECORDS.open!, since: NOW - HOUR_MS }, EVENTS.openExpired, '-'],
  ];

  test.each(GUARDED)('%s', (_, record, event, to) => {
    const change = apply(record, event);
    expect(change ? phaseOf(change.record) : '-').toBe(to);
  });

  test('the cases above cover every edge and no other', () => {
    const taken = [
      ...CASES.filter(([, , to]) => to !== '-').map(([event, from, to]) => [from, event, to]),
      ...GUARDED.filter(([, , , to]) => to !== '-').map(([, record, { kind }, to]) => [phaseOf(record), kind, to]),
    ].map((edge) => edge.join(' '));
    expect(new Set(EDGES.map(({ from, event, to }) => `${from} ${event} ${to}`))).toEqual(new Set(taken));
  });
});

describe('the next record', () => {
  test('after a failed call has the explanation of KMS, and a first probe', () => {
    const facts = { reason: 'DisabledException', deniedBy: 'tenant', deletesAt: 99, requestId: 'a1-b2' } as const;
    const error = new SealdexError('KEY_PENDING_DELETION', undefined, { ...facts, cause: new Error('secret') });
    expect(next(undefined, { kind: 'keyFailed', error, isCurrent: false })).toEqual({
      ...KEY,
      ...facts,
      state: 'shut',
      code: 'KEY_PENDING_DELETION',
      since: NOW,
      codeSince: NOW,
      wasCurrent: false,
      probes: 0,
      goodProbes: 0,
      nextProbe: NOW + 30_000,
    });
  });

  test('after a failed call has no invalid request id', () => {
    const error = new SealdexError('KEY_DISABLED', undefined, { requestId: 'some words' });
    expect(next(undefined, { kind: 'keyFailed', error, isCurrent: false })).not.toHaveProperty('requestId');
  });

  test('after a failed call keeps wasCurrent while earlier jobs are released', () => {
    const event = { ...EVENTS.keyFailed, isCurrent: false };
    expect(next(RECORDS.draining, event).wasCurrent).toBe(true);
    expect(next({ ...RECORDS.draining!, wasCurrent: false }, event).wasCurrent).toBe(false);
    expect(next(RECORDS.open, event).wasCurrent).toBe(false);
  });

  test.each(['open', 'shut'] as const)('after an operator stop has its reason, in place of KMS’s, from %s', (phase) => {
    const since = phase === 'shut' ? SHUT.since : NOW;
    expect(next(RECORDS[phase], EVENTS.operatorStopped)).toEqual({
      ...KEY,
      state: 'shut',
      code: 'TENANT_PAUSED',
      since,
      codeSince: 77,
      note: 'incident',
      wasCurrent: true,
      probes: phase === 'shut' ? 7 : 0,
      goodProbes: 0,
      nextProbe: NOW + 30_000,
    });
  });

  test('after a tenant deletion is probed at the longest interval', () => {
    const { note, codeSince, nextProbe } = next(RECORDS.open, EVENTS.tenantDeleted);
    expect([note, codeSince, nextProbe]).toEqual(['the tenant was deleted', 55, NOW + 1_800_000]);
    expect(next(undefined, { ...EVENTS.tenantDeleted, settledMs: 1000 }).nextProbe).toBe(NOW + 1000);
  });

  test('after a first successful probe waits for the confirming one', () => {
    expect(next({ ...SHUT, goodProbes: 0 }, EVENTS.probeSucceeded)).toEqual({
      ...SHUT,
      probes: 8,
      goodProbes: 1,
      nextProbe: NOW + 5000,
    });
  });

  test('after a failed probe has only the new explanation, and the time of the code if it is another one', () => {
    const { requestId: _, ...kept } = SHUT;
    const changed = { ...kept, reason: 'ByTest', probes: 8, goodProbes: 0, nextProbe: NOW + 900_000 };
    const noted = { ...SHUT, note: 'old', deletesAt: 9, deniedBy: 'tenant' } as const;
    expect(next(noted, EVENTS.probeFailed)).toEqual({ ...changed, code: 'KEY_DISABLED', codeSince: NOW });
    const again = { ...EVENTS.probeFailed, error: errorOf('KEY_NOT_FOUND') };
    expect(next(noted, again)).toEqual({ ...changed, codeSince: SHUT.codeSince });
  });

  test('after an inconclusive probe keeps the explanation, and starts the successful ones over', () => {
    const probed = { probes: 8, goodProbes: 0, nextProbe: NOW + 30_000 };
    expect(next(SHUT, EVENTS.probeInconclusive)).toEqual({ ...SHUT, ...probed });
  });

  test('after the loss of the key is destroyed from now on', () => {
    expect(next(SHUT, EVENTS.keyGone)).toMatchObject({ code: 'KEY_DESTROYED', codeSince: NOW, since: SHUT.since });
  });

  test('after the drain is open from now on, and a destroyed one is drained again later', () => {
    expect(next(RECORDS.draining, EVENTS.drained)).toEqual({ ...RECORDS.draining, state: 'open', since: NOW });
    const later = { ...RECORDS.destroyed, nextProbe: NOW + 30_000 };
    expect(next(RECORDS.destroyed, EVENTS.drained)).toEqual(later);
    expect(next(RECORDS.destroyed, EVENTS.drainInterrupted)).toEqual(later);
  });
});

describe('effects', () => {
  const kinds = (phase: GatePhase, event: GateEvent): GateEffect['kind'][] =>
    apply(RECORDS[phase], event)!.effects.map(({ kind }) => kind);

  test.each(CASES.filter(([, , to]) => to !== '-'))('after %s in state %s publish the change', (event, phase) => {
    expect(kinds(phase, EVENTS[event])).toContain('publish');
  });

  test.each(CASES.filter(([, , to]) => to !== '-'))(
    'after %s in state %s close the gate, so that data keys are zeroed, only if it was open before and is closed',
    (event, phase, to) => {
      const isClosed = (state: string): boolean => ['shut', 'stopped', 'destroyed'].includes(state);
      const { record } = apply(RECORDS[phase], EVENTS[event])!;
      expect(isClosing(RECORDS[phase], record)).toBe(isClosed(to) && !isClosed(phase));
    },
  );

  test('log that a gate closes or opens, and that a key is deleted', () => {
    const log = (phase: GatePhase, event: GateEvent) =>
      apply(RECORDS[phase], event)!.effects.flatMap((effect) =>
        effect.kind === 'log' ? [[effect.level, effect.facts, effect.message]] : [],
      );
    const gate = { tenant: 'acme', key: KEY.keyArn };
    const shut = 'gate shut, parking jobs';
    expect(log('open', EVENTS.keyFailed)).toEqual([
      ['warn', { ...gate, code: 'KEY_DISABLED', reason: 'ByTest' }, shut],
    ]);
    expect(log('draining', EVENTS.operatorStopped)).toEqual([['warn', { ...gate, code: 'TENANT_PAUSED' }, shut]]);
    expect(log('shut', EVENTS.operatorStopped)).toEqual([]);
    const opened = { ...gate, code: 'KEY_NOT_FOUND', shutMs: 2 * DAY_MS };
    expect(log('shut', EVENTS.probeSucceeded)).toEqual([['info', { ...opened, why: 'Probes' }, 'gate opened']]);
    expect(log('shut', EVENTS.keyDetached)).toEqual([['info', { ...opened, why: 'KeyChanged' }, 'gate opened']]);
    const gone = [['error', { ...gate, code: 'KEY_DESTROYED' }, 'KMS key permanently deleted']];
    expect(log('shut', EVENTS.keyGone)).toEqual(gone);
    expect(log('draining', EVENTS.drained)).toEqual([]);
  });
});

describe('due tasks', () => {
  const tasks = (record: GateRecord): readonly string[] => tasksDue(record, NOW, SETTINGS);

  test('for a shut gate are its expired jobs and a probe, once their time has come', () => {
    expect(tasks(SHUT)).toEqual(['expireParked', 'probe']);
    expect(tasks(RECORDS.stopped!)).toEqual(['expireParked', 'probe']);
    expect(tasks({ ...SHUT, nextProbe: NOW + 1 })).toEqual([]);
  });

  test('include those with a time beyond any schedule', () => {
    const furthest = NOW + 2 * SETTINGS.probeMaxMs + 60_000;
    expect(tasks({ ...SHUT, nextProbe: furthest })).toEqual([]);
    expect(tasks({ ...SHUT, nextProbe: furthest + 1 })).toEqual(['expireParked', 'probe']);
  });

  test('for the other states are a release', () => {
    expect(tasks({ ...RECORDS.draining!, nextProbe: NOW + 1 })).toEqual(['releaseParked']);
    expect(tasks(RECORDS.destroyed!)).toEqual(['releaseParked']);
    expect(tasks({ ...RECORDS.destroyed!, nextProbe: NOW + 1 })).toEqual([]);
    expect(tasks(RECORDS.open!)).toEqual(['releaseParked', 'forget']);
    expect(tasks({ ...RECORDS.open!, since: NOW - HOUR_MS })).toEqual([]);
  });
});

test('docs/parking.md draws every edge of the state machine and no other', () => {
  const page = readFileSync(new URL('../../docs/parking.md', import.meta.url), 'utf8');
  const [, diagram = ''] = /```mermaid\nstateDiagram-v2\n(.*?)```/s.exec(page) ?? [];
  const drawn = [...diagram.matchAll(/^ *(\w+) --> (\w+): (.*)$/gm)].flatMap(([, from = '', to = '', events = '']) =>
    events.split(', ').map((event) => `${from} ${event} ${to}`),
  );
  expect(new Set(drawn).size).toBe(drawn.length);
  expect(drawn.toSorted()).toEqual(EDGES.map(({ from, event, to }) => `${from} ${event} ${to}`).toSorted());
});
