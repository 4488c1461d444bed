// Reconciliation: reads the audit log and CloudTrail files, and reports what only one of them has.
// Needs no settings and makes no calls.
import { eventsOf } from '../audit/cloudtrail.ts';
import { readAuditLine, type AuditCall } from '../audit/audit-line.ts';
import { TrailFormatError } from '../audit/objects.ts';
import { Reconciliation, TooManyCallsError } from '../audit/reconcile.ts';
import { checkName } from '../runtime/names.ts';
import { bytesOf, pathsOf } from './audit-files.ts';
import { printReport, printReportLines, type Unreadable } from './audit-report.ts';
import { FileFormatError, UsageError } from './failure.ts';
import { linesOf } from './line-reader.ts';
import { host } from './host.ts';
import type { TimeOption } from './time-option.ts';

export interface ReconcileOptions {
  readonly audit: readonly string[];
  readonly cloudtrail: readonly string[];
  readonly from?: TimeOption;
  readonly to?: TimeOption;
  readonly wide?: true;
  readonly json?: true;
}

const DISAGREES = 1;
/** Far longer than an audit line; lines of the worker's log may be among them. */
const LONGEST_LINE_BYTES = 1_048_576;
/** Further lines are counted but not named. */
const MOST_NAMED = 1000;

export async function reconcileFiles(tenant: string, options: ReconcileOptions, signal: AbortSignal): Promise<void> {
  checkName(tenant, 'tenant');
  const [from, to] = [options.from?.at, options.to?.at];
  if (from !== undefined && to !== undefined && from >= to) throw new UsageError('--from must be before --to.');
  const files = { audit: await pathsOf(options.audit), cloudtrail: await pathsOf(options.cloudtrail) };
  const reconciliation = new Reconciliation({ tenant, from, to });
  try {
    await eachCall(files.audit, signal, (call) => reconciliation.collectKey(call));
    const unreadable = await eachCall(files.audit, signal, (call) => reconciliation.addCall(call));
    await eachEvent(files.cloudtrail, signal, reconciliation);
    const found = { tenant, files, unreadable, from, to, ...reconciliation.end() };
    if (options.json) printReportLines(found);
    else printReport(found, options.wide === true);
    if (!found.agrees) host().exitCode = DISAGREES;
  } catch (error) {
    if (error instanceof TooManyCallsError) throw new UsageError(error.message);
    throw error;
  }
}

/** Calls `take` for each call in the audit files. Returns the lines that cannot be read. */
async function eachCall(
  paths: readonly string[],
  signal: AbortSignal,
  take: (call: AuditCall) => void,
): Promise<Unreadable> {
  const named: { file: string; line: number }[] = [];
  let count = 0;
  for (const file of paths) {
    for await (const line of linesOf(bytesOf(file, signal), { bytes: LONGEST_LINE_BYTES })) {
      const read = line.fault === undefined ? readAuditLine(line.text) : { kind: 'unreadable' as const };
      if (read.kind === 'call') take(read.call);
      if (read.kind !== 'unreadable') continue;
      count += 1;
      if (named.length < MOST_NAMED) named.push({ file, line: line.number });
    }
  }
  return { count, named };
}

/** @throws FileFormatError */
async function eachEvent(paths: readonly string[], signal: AbortSignal, to: Reconciliation): Promise<void> {
  for (const path of paths) {
    try {
      for await (const event of eventsOf(bytesOf(path, signal))) to.addEvent(event);
    } catch (error) {
      if (error instanceof TrailFormatError) throw new FileFormatError(path, error.message);
      throw error;
    }
  }
}
