// `sealdex audit reconcile`: options and help. Its work is in reconciliation.ts, which the help does not load.
import { Command } from 'commander';
import { untilInterrupted } from './interrupt.ts';
import { WIDE_REPORT } from './option-texts.ts';
import { parseTime } from './time-option.ts';
import type { ReconcileOptions } from './reconciliation.ts';

export function reconcileCommand(): Command {
  return new Command('reconcile')
    .description("compare a tenant's audit lines with CloudTrail events")
    .argument('<tenant>', 'tenant name; also that of a deleted tenant')
    .requiredOption('--audit <path...>', 'audit log files, worker log files or directories')
    .requiredOption('--cloudtrail <path...>', 'CloudTrail files (plain or gzip) or directories')
    .option(
      '--from <time>',
      'ignore earlier calls: an age with its unit (30m, 2h, 7d) or a UTC time (2026-11-25T10:00Z)',
      parseTime,
    )
    .option('--to <time>', 'ignore calls from this time on', parseTime)
    .option('--wide', WIDE_REPORT)
    .option('--json', 'print NDJSON, one line per difference with all its fields, and a summary')
    .addHelpText(
      'after',
      `
Calls are matched by AWS request id; then operation, key, encryption context
and result are compared. Calls without a response are matched by their content
within 5m. CloudTrail files can be log files, one event per line, or the output
of aws cloudtrail lookup-events. CloudTrail is up to 15m late.

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
    .action((tenant: string, options: ReconcileOptions) =>
      untilInterrupted(async (signal) => {
        const { reconcileFiles } = await import('./reconciliation.ts');
        await reconcileFiles(tenant, options, signal);
      }),
    );
}
