// How the comparison of audit and CloudTrail reads: for people the verdict first, then counts and short lists; for machines
// a line for each finding.
import type { TrailEvent } from '../audit/cloudtrail.ts';
import { TOLERANCE_MS, type Difference } from '../audit/compare.ts';
import type { AuditCall } from '../audit/audit-line.ts';
import type { Reconciled, Side } from '../audit/reconcile.ts';
import { printJson, oneLine, printLine, printNotice, table, time } from './terminal.ts';

export interface Unreadable {
  readonly count: number;
  /** The first of them. */
  readonly named: readonly { readonly file: string; readonly line: number }[];
}

export interface ReconcileReport extends Reconciled {
  readonly tenant: string;
  readonly files: { readonly audit: readonly string[]; readonly cloudtrail: readonly string[] };
  readonly unreadable: Unreadable;
  readonly from: number | undefined;
  readonly to: number | undefined;
}

/** Of each list, for people. */
const MOST_SHOWN = 20;
/** CloudTrail holds what callers sent, of any length. */
const LONGEST_VALUE_CHARS = 300;

const calls = (count: number): string => (count === 1 ? '1 call' : `${count} calls`);

const filesText = ({ length }: readonly string[]): string => (length === 1 ? '1 file' : `${length} files`);

const sidesOf = ({ audit, trail, files }: ReconcileReport): string[][] => [
  ['audit', `${calls(audit.count)} in ${filesText(files.audit)}`, spanOf(audit)],
  ['CloudTrail', `${trail.count} events in ${filesText(files.cloudtrail)}`, spanOf(trail)],
];

const short = (text: string): string => {
  const line = oneLine(text);
  return line.length <= LONGEST_VALUE_CHARS ? line : `${line.slice(0, LONGEST_VALUE_CHARS)}…`;
};

const differenceText = ({ what, audit, trail }: Difference): string =>
  `${short(what)}: ${short(audit)} in the audit, ${short(trail)} in CloudTrail`;

const listsOf = (found: ReconcileReport): [string, Entry[]][] => [
  ['In CloudTrail only: calls that the audit does not know', found.onlyInTrail.map(eventEntry)],
  ['In the audit only: calls that worked, and that CloudTrail does not know', found.onlyInAudit.map(callEntry)],
  [
    'Told differently',
    found.different.map(({ call, differences }) => [...callEntry(call), ...differences.map(differenceText)]),
  ],
  ['Without an answer, and not in CloudTrail: they may never have reached KMS', found.unanswered.map(callEntry)],
  ['Refused, and not in CloudTrail: AWS does not log every refused call there', found.refused.map(callEntry)],
];

export function printReport(found: ReconcileReport): void {
  printLine(headline(found));
  for (const line of table(sidesOf(found))) printLine(line);
  for (const [title, entries] of listsOf(found)) {
    if (entries.length === 0) continue;
    printLine(`\n${title}:`);
    for (const [first = '', ...more] of entries.slice(0, MOST_SHOWN)) {
      printLine(`  ${first}`);
      for (const line of more) printLine(`    ${line}`);
    }
    if (entries.length > MOST_SHOWN) printLine(`  … and ${entries.length - MOST_SHOWN} more: --json`);
  }
  for (const line of notesOf(found)) printLine(`\n${line}`);
  const { count, named } = found.unreadable;
  for (const { file, line } of named.slice(0, MOST_SHOWN)) printNotice(`${file}:${line} is no line that can be read.`);
  if (count > MOST_SHOWN) printNotice(`… and ${count - MOST_SHOWN} more: --json`);
}

function headline({ tenant, agrees, matched, onlyInTrail, onlyInAudit, different }: ReconcileReport): string {
  if (agrees) return `Tenant ${tenant}: audit and CloudTrail agree on ${calls(matched)}.`;
  const faults: [number, string][] = [
    [onlyInTrail.length, 'in CloudTrail only'],
    [onlyInAudit.length, 'in the audit only'],
    [different.length, 'told differently'],
  ];
  const told = faults.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (told.length === 0) return `Tenant ${tenant}: nothing was compared, since no call stands on both sides.`;
  return `Tenant ${tenant}: audit and CloudTrail do not agree: ${told.join(', ')}; on ${calls(matched)} they do.`;
}

function spanOf({ first, last, duplicates, outside }: Side): string {
  const facts = [
    ...(first === undefined || last === undefined ? [] : [`${time(first)} to ${time(last)}`]),
    ...(duplicates === 0 ? [] : [`${duplicates} of them twice`]),
    ...(outside === 0 ? [] : [`${outside} more outside the time asked for`]),
  ];
  return facts.join(', ');
}

/** What was done, and below it with which key and by whom. */
type Entry = readonly string[];

function notesOf(found: ReconcileReport): string[] {
  const { tenant, audit, unansweredInTrail, underPlatformKey, housekeeping } = found;
  const uncovered = uncoveredIn(found);
  const operations = Object.entries(Object.groupBy(housekeeping, ({ operation }) => operation));
  const done = operations.map(([operation, events = []]) => `${operation} ${events.length}`).sort();
  return [
    ...(audit.count > 0
      ? []
      : [`The audit has no call for tenant ${tenant}: it holds those with tenants' own keys alone.`]),
    ...(unansweredInTrail === 0
      ? []
      : [`Of the calls that agree, ${unansweredInTrail} had no answer: matched by operation, key, context and time.`]),
    ...(underPlatformKey === 0
      ? []
      : [
          `Not compared: ${calls(underPlatformKey)} with the platform key, for content that waits: the audit leaves those out.`,
        ]),
    ...(done.length === 0
      ? []
      : [`Not compared: what the key's own account did with it without using it: ${oneLine(done.join(', '))}.`]),
    ...(uncovered === 0
      ? []
      : [
          `${uncovered} of those that stand on one side are from a time that the other side does not cover: add the files that are missing, or leave that time out with --from and --to.`,
        ]),
  ];
}

/** A side that begins later or ends earlier knows nothing of what the other has there. */
function uncoveredIn({ onlyInAudit, onlyInTrail, audit, trail }: ReconcileReport): number {
  const isOutside = ({ first = Infinity, last = -Infinity }: Side, at: number): boolean =>
    at < first - TOLERANCE_MS || at > last + TOLERANCE_MS;
  return (
    onlyInAudit.filter(({ at }) => isOutside(trail, at)).length +
    onlyInTrail.filter(({ at }) => isOutside(audit, at)).length
  );
}

const contextText = (context: Readonly<Record<string, string | undefined>>): string[] =>
  Object.entries(context).map(([name, value]) => `${name} ${value}`);

const requestOf = (requestId: string | undefined): string | undefined =>
  requestId === undefined ? undefined : `request ${requestId}`;

const lineOf = (facts: readonly (string | undefined)[]): string =>
  facts.flatMap((fact) => (fact === undefined ? [] : [short(fact)])).join('  ');

function callEntry(call: AuditCall): Entry {
  const { at, operation, key, tenant, period, purpose, result, requestId, process, job, command, activity } = call;
  const context = period === undefined ? {} : { tenant, period, purpose };
  const what = [job, command, activity].filter((word) => word !== undefined).join(', ');
  return [
    lineOf([new Date(at).toISOString(), operation, result, ...contextText(context)]),
    lineOf([key, `by ${process}`, what === '' ? undefined : `for ${what}`, requestOf(requestId)]),
  ];
}

function eventEntry({ at, operation, keys, contexts, result, principal, sourceIp, requestId }: TrailEvent): Entry {
  const from = sourceIp === undefined ? undefined : `from ${sourceIp}`;
  return [
    lineOf([time(at), operation, result, ...new Set(contexts.flatMap(contextText))]),
    lineOf([...new Set(keys), `by ${principal}`, from, requestOf(requestId)]),
  ];
}

const isoOf = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString();

const sideOf = ({ count, first, last, duplicates, outside }: Side): object => ({
  count,
  first: isoOf(first),
  last: isoOf(last),
  duplicates,
  outside,
});

const timed = <T extends { readonly at: number }>({ at, ...rest }: T): object => ({ time: isoOf(at), ...rest });

/** Calls and events with their time as the audit writes it. */
export function printReportLines(found: ReconcileReport): void {
  const { tenant, agrees, matched, unansweredInTrail, underPlatformKey, files, unreadable, from, to } = found;
  for (const event of found.onlyInTrail) printJson({ kind: 'cloudtrail-only', event: timed(event) });
  for (const call of found.onlyInAudit) printJson({ kind: 'audit-only', call: timed(call) });
  for (const { call, event, differences } of found.different)
    printJson({ kind: 'different', differences, call: timed(call), event: timed(event) });
  for (const call of found.unanswered) printJson({ kind: 'unanswered', call: timed(call) });
  for (const call of found.refused) printJson({ kind: 'refused', call: timed(call) });
  for (const event of found.housekeeping) printJson({ kind: 'housekeeping', event: timed(event) });
  for (const where of unreadable.named) printJson({ kind: 'unreadable', ...where });
  printJson({
    kind: 'summary',
    tenant,
    agrees,
    matched,
    cloudtrailOnly: found.onlyInTrail.length,
    auditOnly: found.onlyInAudit.length,
    different: found.different.length,
    unanswered: found.unanswered.length,
    unansweredInCloudtrail: unansweredInTrail,
    refused: found.refused.length,
    underPlatformKey,
    housekeeping: found.housekeeping.length,
    unreadable: unreadable.count,
    from: isoOf(from),
    to: isoOf(to),
    audit: { files: files.audit.length, ...sideOf(found.audit) },
    cloudtrail: { files: files.cloudtrail.length, accounts: found.trail.accounts, ...sideOf(found.trail) },
  });
}
