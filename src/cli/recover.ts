// `sealdex recover`: adds the jobs of a lost Redis again.
import { Command } from 'commander';
import type { Operator, Recovered } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { given } from './arguments.ts';
import { host } from './host.ts';
import { untilInterrupted } from './interrupt.ts';
import { interruptedCode } from './dead-selection.ts';
import { JSON_OBJECT, ONLY_TENANT } from './option-texts.ts';
import { counted, printJson, printLine, printNotice, progressBar } from './terminal.ts';
import { parseTime, type TimeOption } from './time-option.ts';
import { withOperator } from './with-clients.ts';

interface Options {
  readonly dryRun?: true;
  readonly tenant?: string;
  readonly olderThan?: TimeOption;
  readonly json?: true;
}

export function recoverCommand(): Command {
  return new Command('recover')
    .description('add the jobs of a lost Redis again')
    .option('--dry-run', 'print counts and change nothing')
    .option('--tenant <name>', ONLY_TENANT)
    .option('--older-than <age>', 'only content stored earlier: an age (30m, 2h, 7d) or a UTC time', parseTime)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Adds the jobs again whose content is in S3, with their revisions: documents
larger than SEALDEX_INLINE_BYTES and files, with SEALDEX_INLINE_BYTES=0 all
documents and deletions. Dead letters become waiting jobs. Needs no KMS key. The
command can be repeated: it adds no job twice.

Without filters, the command accepts this Redis as the one of the bucket at the
end, and sweeps run again. Stop producers or let them run: new documents keep
higher revisions than recovered ones.

Exit codes:
  0   all jobs that can be recovered are in the queue
  75  the backlog of a tenant is full, or another recovery runs: run it again

Examples:
  sealdex recover --dry-run
  sealdex recover
  sealdex recover --tenant acme --older-than 1h --json`,
    )
    .action(async (options: Options) => {
      if (options.tenant !== undefined) checkName(options.tenant, 'tenant');
      await untilInterrupted((signal) => withOperator((operator) => run(operator, options, signal)));
    });
}

async function run(operator: Operator, options: Options, signal: AbortSignal): Promise<void> {
  const { dryRun: isDry = false, tenant, olderThan, json: asJson } = options;
  const progress = asJson ? undefined : progressBar(isDry ? 'counted' : 'added', { countsOf: (done) => String(done) });
  let recovered: Recovered;
  try {
    recovered = await operator.recover({
      ...given({ tenant, before: olderThan?.at }),
      isDry,
      signal,
      onProgress: ({ seen, added }) => progress?.update(added, seen),
    });
  } finally {
    progress?.end();
  }
  if (asJson) printJson(recovered);
  else summarize(recovered, isDry);
  if (recovered.backlogFull > 0) host().exitCode = CODES.TENANT_BACKLOG_FULL.exit;
  host().exitCode = interruptedCode(signal) ?? host().exitCode ?? 0;
}

const MAX_TENANTS = 20;

function summarize(recovered: Recovered, isDry: boolean): void {
  const { added, present, backlogFull, tooOld, unreadable, tenants, isAccepted } = recovered;
  for (const { tenant, jobs } of tenants.slice(0, MAX_TENANTS)) printLine(`${tenant}  ${counted(jobs, 'job')}`);
  if (tenants.length > MAX_TENANTS) printLine(`and ${counted(tenants.length - MAX_TENANTS, 'more tenant')}`);
  printLine(`${isDry ? 'would add' : 'added'} ${counted(added, 'job')}, ${present} already in the queue or finished`);
  if (tooOld > 0)
    printNotice(
      `${counted(tooOld, 'object is', 'objects are')} older than a job can be and not recovered. Review and delete them by hand.`,
    );
  if (unreadable > 0)
    printNotice(
      `${counted(unreadable, 'object was', 'objects were')} written by another version and cannot be recovered from the name. Submit the documents again.`,
    );
  if (backlogFull > 0)
    printNotice(
      `${counted(backlogFull, 'job was', 'jobs were')} not added because the backlog of the tenant is full. Run the command again when it is shorter.`,
    );
  if (isAccepted) printNotice('This Redis now belongs to the bucket, and sweeps run again.');
}
