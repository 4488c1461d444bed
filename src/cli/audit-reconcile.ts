// `sealdex audit reconcile`: reads an audit and a trail, and tells what stands on one side only.
// Needs no settings and calls nobody.
import { Command } from 'commander';
import { eventsOf } from '../audit/cloudtrail.ts';
import { readAuditLine, type AuditCall } from '../audit/audit-line.ts';
import { TrailFormatError } from '../audit/objects.ts';
import { Reconciliation, TooManyCallsError } from '../audit/reconcile.ts';
import { checkName } from '../runtime/names.ts';
import { bytesOf, pathsOf } from './audit-files.ts';
import { printReport, printReportLines, type Unreadable } from './audit-report.ts';
import { FileFormatError, UsageError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { linesOf } from './line-reader.ts';
import { WIDE_REPORT } from './option-texts.ts';
import { parseTime, type TimeOption } from './time-option.ts';
import { host } from './host.ts';

interface Options {
  readonly audit: readonly string[];
  readonly cloudtrail: readonly string[];
  readonly from?: TimeOption;
  readonly to?: TimeOption;
  readonly wide?: true;
  readonly json?: true;
}

const DISAGREES = 1;
/** The worker's log may stand between the audit's own lines, which are far shorter. */
const LONGEST_LINE_BYTES = 1_048_576;
/** More are counted and not named. */
const MOST_NAMED = 1000;

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description("compare a tenant's audit lines with CloudTrail events")
    .argument('<tenant>', 'tenant name; also that of a deleted tenant')
    .requiredOption('--audit <path...>', 'audit log files, worker log files or directories')
    .requiredOption('--cloudtrail <path...>', 'CloudTrail files (plain or gzip) or directories')
    .option('--from <time>', 'ignore earlier calls: an age (30m, 2h, 7d) or a UTC time (2026-11-25T10:00Z)', parseTime)
    .option('--to <time>', 'ignore calls from this time on', parseTime)
    .option('--wide', WIDE_REPORT)
    .option('--json', 'print NDJSON, one line per difference with all its fields, and a summary')
    .addHelpText(
      'after',
      `
Calls are matched by AWS request id; then operation, key, encryption context
and result are compared. Calls without a response are matched by their content
within 5 minutes. CloudTrail files can be log files, one event per line, or the
output of aws cloudtrail lookup-events. CloudTrail is up to 15 minutes late.

AWS logs every successful call in the key owner's account, but not every denied
one. Missing denied calls are listed separately and do not count as differences.
Management calls by the key owner's account do not count either.

Needs no settings. See docs/audit.md for how to read the report.

Exit codes:
  0   no differences
  1   differences, or nothing to compare
  65  a file has the wrong format
  66  a file does not exist

Examples:
  sealdex audit reconcile acme --audit audit.jsonl --cloudtrail AWSLogs/111122223333/CloudTrail/
  sealdex audit reconcile acme --audit a.jsonl b.jsonl.gz --cloudtrail events.json --from 2026-11-01
  sealdex audit reconcile acme --audit audit.jsonl --cloudtrail trail/ --json | jq -r .kind | sort | uniq -c`,
    )
    .action((tenant: string, options: Options) => untilInterrupted((signal) => run(tenant, options, signal)));
}

async function run(tenant: string, options: Options, signal: AbortSignal): Promise<void> {
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

/** Where there are lines that cannot be read. */
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

/** @throws FileFaulty */
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
