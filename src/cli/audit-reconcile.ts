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
import { parseTime, type TimeOption } from './time-option.ts';
import { host } from './host.ts';

interface Options {
  readonly audit: readonly string[];
  readonly cloudtrail: readonly string[];
  readonly from?: TimeOption;
  readonly to?: TimeOption;
  readonly json?: true;
}

const DISAGREES = 1;
/** The worker's log may stand between the audit's own lines, which are far shorter. */
const LONGEST_LINE_BYTES = 1_048_576;
/** More are counted and not named. */
const MOST_NAMED = 1000;

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description("match the audit's KMS calls for a tenant with its CloudTrail, call by call")
    .argument('<tenant>', 'the tenant; it need not exist any more')
    .requiredOption('--audit <path...>', 'files of the audit, or of the log that holds it; folders: all in them')
    .requiredOption('--cloudtrail <path...>', 'files of CloudTrail, gzip or not; folders: all in them')
    .option('--from <time>', 'leave out what is before: 30m, 2h or 7d ago, or 2026-11-25T10:00Z', parseTime)
    .option('--to <time>', 'leave out what is from then on', parseTime)
    .option('--json', 'NDJSON: a line for each finding, with all that is known of it, and a summary')
    .addHelpText(
      'after',
      `
Calls are matched by AWS' request id, and then operation, KMS key, encryption context and result are compared;
calls without an answer by what they were about, within 5 minutes. CloudTrail is taken as log files, as
one event a line, or as aws cloudtrail lookup-events prints it. It is up to 15 minutes late.

AWS logs every call that worked in the account of the key. Refused ones it logs in part, and those that were
denied to another account only there: refused calls that are missing are told apart, and are no fault.
So is what the key's own account does with the key without using it, as looking at its policy.

Exit code: 0 when both sides agree; 1 when something stands on one side only or is told differently, or when
there was nothing to compare; 65 for a file of another kind, 66 for one that is not there. docs/audit.md tells
how to read what is found.

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
    await eachCall(files.audit, signal, (call) => reconciliation.look(call));
    const unreadable = await eachCall(files.audit, signal, (call) => reconciliation.addCall(call));
    await eachEvent(files.cloudtrail, signal, reconciliation);
    const found = { tenant, files, unreadable, from, to, ...reconciliation.end() };
    if (options.json) printReportLines(found);
    else printReport(found);
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
