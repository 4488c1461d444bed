// How gates look on a terminal: a line each with what there is to do below it, or all facts of one.
import type { GateFacts } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { CODES } from '../runtime/errors.ts';
import { oneLine, table, time } from './terminal.ts';
import { approximateDuration } from '../runtime/units.ts';

const HEADER = ['KEY', 'TENANT', 'STATE', 'SINCE', 'JOBS', 'OLDEST', 'NEXT PROBE', 'ACTION BY'];

export const nextProbeOf = (at: number, now: number = systemClock.now()): string =>
  at <= now ? 'now' : `in ${approximateDuration(at - now)}`;

/** Who has to act, for people: `nobody` is a value of the JSON. */
export const actorOf = (whoActs: GateFacts['whoActs']): string => (whoActs === 'nobody' ? 'none required' : whoActs);

const cellsOf = (gate: GateFacts, now: number): string[] => [
  gate.keyArn,
  gate.tenant,
  `${gate.state} ${gate.code}`,
  time(gate.since),
  String(gate.jobs),
  gate.oldest === undefined ? '-' : approximateDuration(Math.max(0, now - gate.oldest)),
  gate.nextProbe === undefined ? '-' : nextProbeOf(gate.nextProbe, now),
  actorOf(gate.whoActs),
];

/** A line for each gate, and below it, further in, when the key is deleted and what who acts would type. */
export function gateLines(gates: readonly GateFacts[]): string[] {
  const now = systemClock.now();
  const [header = '', ...lines] = table([HEADER, ...gates.map((gate) => cellsOf(gate, now))]);
  return [header, ...lines.flatMap((line, at) => [line, ...below(gates[at]!).map((each) => `    ${each}`)])];
}

function below({ deletesAt, note, explanation, commands }: GateFacts): string[] {
  return [
    ...(deletesAt === undefined
      ? []
      : [`KMS DELETES THIS KEY ON ${time(deletesAt)}; data encrypted under it will be lost.`]),
    ...(note === undefined ? [] : [`Reason: ${oneLine(note)}`]),
    explanation,
    ...commands,
  ];
}

const ago = (at: number, now: number): string => `${time(at)} (${approximateDuration(Math.max(0, now - at))} ago)`;

/** Everything that is known of one gate. */
export function factLines(gate: GateFacts): string[] {
  const now = systemClock.now();
  const { keyArn, tenant, state, code, since, jobs, oldest, probes, nextProbe, deletesAt, deniedBy, whoActs } = gate;
  const rows: [string, string | undefined][] = [
    ['key', keyArn],
    ['tenant', tenant],
    ['state', state],
    ['code', `${code}: ${CODES[code].description}`],
    ['since', ago(since, now)],
    ['jobs', String(jobs)],
    ['oldest', oldest === undefined ? undefined : ago(oldest, now)],
    ['probes', String(probes)],
    ['next probe', nextProbe === undefined ? undefined : `${time(nextProbe)} (${nextProbeOf(nextProbe, now)})`],
    ['reason', gate.reason],
    ['request', gate.requestId],
    ['deletes on', deletesAt === undefined ? undefined : time(deletesAt)],
    [
      'denied by',
      deniedBy === undefined ? undefined : deniedBy === 'operator' ? 'an IAM policy of the sealdex role' : 'the tenant',
    ],
    ['note', gate.note === undefined ? undefined : oneLine(gate.note)],
    ['action by', `${actorOf(whoActs)}: ${gate.explanation}`],
  ];
  const known = rows.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return [...table(known), ...gate.commands.map((command) => `    ${command}`)];
}
