// Report of a reconciliation: for people the result first, then counts and short lists; for machines one line per finding.
import type { TrailEvent } from '../audit/cloudtrail.ts';
import { TOLERANCE_MS, type Difference } from '../audit/compare.ts';
import type { AuditCall } from '../audit/audit-line.ts';
import type { Reconciled, Side } from '../audit/reconcile.ts';
import { COLUMNS, factLines } from './table.ts';
import { counted, printJson, oneLine, printLine, printNotice, textOfLine, time, wrapped } from './terminal.ts';

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

/** Maximum entries of each list in the report for people. */
const MOST_SHOWN = 20;
/** CloudTrail records values of callers, of any length. */
const LONGEST_VALUE_CHARS = 300;

const calls = (count: number): string => (count === 1 ? '1 call' : `${count} calls`);

const filesText = ({ length }: readonly string[]): string => (length === 1 ? '1 file' : `${length} files`);

const sidesOf = ({ audit, trail, files }: ReconcileReport): [string, string][] => [
  ['audit log', [`${calls(audit.count)} in ${filesText(files.audit)}`, ...spanOf(audit)].join(', ')],
  ['CloudTrail', [`${trail.count} events in ${filesText(files.cloudtrail)}`, ...spanOf(trail)].join(', ')],
];

const short = (text: string): string => {
  const line = oneLine(text);
  return line.length <= LONGEST_VALUE_CHARS ? line : `${line.slice(0, LONGEST_VALUE_CHARS)}…`;
};

const differenceText = ({ what, audit, trail }: Difference): string =>
  `${short(what)}: ${short(audit)} in the audit log, ${short(trail)} in CloudTrail`;

const listsOf = (found: ReconcileReport): [string, Entry[]][] => [
  ['Only in CloudTrail', found.onlyInTrail.map(eventEntry)],
  ['Only in the audit log (successful calls)', found.onlyInAudit.map(callEntry)],
  [
    'Different',
    found.different.map(({ call, differences }) => [...callEntry(call), ...differences.map(differenceText)]),
  ],
  ['No response, and not in CloudTrail (the call may not have reached KMS)', found.unanswered.map(callEntry)],
  ['Denied, and not in CloudTrail (AWS does not log every denied call)', found.refused.map(callEntry)],
];

export function printReport(found: ReconcileReport, isWide: boolean): void {
  const print = (line: string): void => printLine(isWide ? line : wrapped(line, COLUMNS));
  print(headline(found));
  for (const line of factLines(sidesOf(found), Infinity)) print(textOfLine(line));
  for (const [title, entries] of listsOf(found)) {
    if (entries.length === 0) continue;
    printLine('');
    print(`${title}:`);
    for (const [first = '', ...more] of entries.slice(0, MOST_SHOWN)) {
      print(`  ${first}`);
      for (const line of more) print(`    ${line}`);
    }
    if (entries.length > MOST_SHOWN) printLine(`  … and ${entries.length - MOST_SHOWN} more: --json`);
  }
  for (const line of notesOf(found)) {
    printLine('');
    print(line);
  }
  const { count, named } = found.unreadable;
  for (const { file, line } of named.slice(0, MOST_SHOWN)) printNotice(`${file}:${line}: cannot parse the line.`);
  if (count > MOST_SHOWN) printNotice(`… and ${count - MOST_SHOWN} more: --json`);
}

function headline({ tenant, agrees, matched, onlyInTrail, onlyInAudit, different }: ReconcileReport): string {
  if (agrees) return `Tenant ${tenant}: the audit log and CloudTrail agree on ${calls(matched)}.`;
  const faults: [number, string][] = [
    [onlyInTrail.length, 'only in CloudTrail'],
    [onlyInAudit.length, 'only in the audit log'],
    [different.length, 'different'],
  ];
  const told = faults.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (told.length === 0)
    return `Tenant ${tenant}: no calls to compare. No call appears in both the audit log and CloudTrail.`;
  const rest = `${calls(matched)} ${matched === 1 ? 'matches' : 'match'}`;
  return `Tenant ${tenant}: the audit log and CloudTrail differ: ${told.join(', ')}; ${rest}.`;
}

function spanOf({ first, last, duplicates, outside }: Side): string[] {
  return [
    ...(first === undefined || last === undefined ? [] : [`${time(first)} to ${time(last)}`]),
    ...(duplicates === 0 ? [] : [counted(duplicates, 'duplicate')]),
    ...(outside === 0 ? [] : [`${outside} outside the time range`]),
  ];
}

/** Operation, then lines with key and caller. */
type Entry = readonly string[];

function notesOf(found: ReconcileReport): string[] {
  const { tenant, audit, unansweredInTrail, underPlatformKey, housekeeping } = found;
  const uncovered = uncoveredIn(found);
  const operations = Object.entries(Object.groupBy(housekeeping, ({ operation }) => operation));
  const done = operations.map(([operation, events = []]) => `${operation} ${events.length}`).sort();
  return [
    ...(audit.count > 0
      ? []
      : [`The audit log has no calls for tenant ${tenant}. It records only calls with tenants' own keys.`]),
    ...(unansweredInTrail === 0
      ? []
      : [
          `${unansweredInTrail} of the matching calls had no response and were matched by operation, key, context and time.`,
        ]),
    ...(underPlatformKey === 0
      ? []
      : [
          `Not compared: ${calls(underPlatformKey)} with the platform key for waiting content, which the audit log does not record.`,
        ]),
    ...(done.length === 0
      ? []
      : [`Not compared: management calls by the key owner's account: ${oneLine(done.join(', '))}.`]),
    ...(uncovered === 0
      ? []
      : [
          `${counted(uncovered, 'difference')} outside the time covered by the other side. Add the missing files, or restrict the range with --from and --to.`,
        ]),
  ];
}

/** Number of records on one side outside the time span of the other side. */
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

/** Prints calls and events with times in the format of the audit log. */
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
