// Gate lines: one line per gate with the actions below, or all facts of one gate.
import type { GateFacts } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { CODES } from '../runtime/errors.ts';
import { COLUMNS, factLines, keyNames, tableLines, type Column, type Fact } from './table.ts';
import { age, oneLine, time, timeAndAge, toned, wrapped, type Line, type Tone } from './terminal.ts';
import { approximateDuration } from '../runtime/units.ts';

export function nextProbeOf(at: number): string {
  const now = systemClock.now();
  return at <= now ? 'now' : `in ${approximateDuration(at - now)}`;
}

/** The acting side in the output for people; `none` is the value in JSON. */
export const actorOf = (whoActs: GateFacts['whoActs']): string => (whoActs === 'none' ? 'none required' : whoActs);

/** A gate that is not about to open needs action. */
export const toneOf = ({ state }: GateFacts): Tone | undefined => (state === 'draining' ? undefined : 'fail');

function columnsOf(gates: readonly GateFacts[]): Column<GateFacts>[] {
  const nameOf = keyNames(gates.map(({ keyArn }) => keyArn));
  return [
    { title: 'KEY', only: 'narrow', text: ({ keyArn }) => nameOf(keyArn) },
    { title: 'KEY', only: 'wide', text: ({ keyArn }) => keyArn },
    { title: 'TENANT', text: ({ tenant }) => tenant, cut: 'middle' },
    { title: 'STATE', only: 'narrow', text: ({ state, code }) => (state === 'shut' ? code : state) },
    { title: 'STATE', only: 'wide', text: ({ state, code }) => `${state} ${code}` },
    { title: 'AGE', only: 'narrow', text: ({ since }) => age(since) },
    { title: 'SINCE', only: 'wide', text: ({ since }) => time(since) },
    { title: 'JOBS', text: ({ jobs }) => String(jobs) },
    { title: 'OLDEST', only: 'wide', text: ({ oldest }) => (oldest === undefined ? '-' : age(oldest)) },
    { title: 'NEXT PROBE', text: ({ nextProbe }) => (nextProbe === undefined ? '-' : nextProbeOf(nextProbe)) },
    { title: 'ACTION BY', only: 'narrow', text: ({ whoActs }) => (whoActs === 'none' ? '-' : whoActs) },
    { title: 'ACTION BY', only: 'wide', text: ({ whoActs }) => actorOf(whoActs) },
  ];
}

/** A line for each gate, and indented below it the deletion date of the key and the commands of the acting side. */
export function gateLines(gates: readonly GateFacts[], isWide: boolean): Line[] {
  const [header = '', ...lines] = tableLines(columnsOf(gates), gates, isWide);
  return [
    header,
    ...lines.flatMap((line, at) => [toned(line, toneOf(gates[at]!)), ...actionLines(gates[at]!, isWide)]),
  ];
}

/** Lines below a gate: deletion date of the key, reason of an operator stop, and commands of the acting side. */
export function actionLines({ deletesAt, note, explanation, commands }: GateFacts, isWide: boolean): string[] {
  const sentences = [
    ...(deletesAt === undefined
      ? []
      : [`KMS DELETES THIS KEY ON ${time(deletesAt)}; data encrypted under it will be lost.`]),
    ...(note === undefined ? [] : [`Reason: ${oneLine(note)}`]),
    explanation,
  ].map((sentence) => `    ${sentence}`);
  return [
    ...(isWide ? sentences : sentences.flatMap((sentence) => wrapped(sentence, COLUMNS).split('\n'))),
    ...commands.map((command) => `    ${command}`),
  ];
}

/** All facts of one gate. */
export function gateFactLines(gate: GateFacts): Line[] {
  const { keyArn, tenant, state, code, since, jobs, oldest, probes, nextProbe, deletesAt, deniedBy, whoActs } = gate;
  const rows: Fact[] = [
    ['key', keyArn],
    ['tenant', tenant],
    ['state', state, toneOf(gate)],
    ['code', `${code}: ${CODES[code].description}`],
    ['since', timeAndAge(since)],
    ['jobs', String(jobs)],
    ['oldest', oldest === undefined ? undefined : timeAndAge(oldest)],
    ['probes', String(probes)],
    ['next probe', nextProbe === undefined ? undefined : `${time(nextProbe)} (${nextProbeOf(nextProbe)})`],
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
  return [...factLines(rows), ...gate.commands.map((command) => `    ${command}`)];
}
