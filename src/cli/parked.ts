// `sealdex parked list`: lists the jobs that wait for a KMS key or an operator.
import { Command } from 'commander';
import type { ParkedJob } from '../app/app.ts';
import { checkName } from '../runtime/names.ts';
import { discardParkedCommand } from './jobs-cancel.ts';
import { withOperator } from './with-clients.ts';
import { jsonLines, ONLY_TENANT, WIDE } from './option-texts.ts';
import { createTablePrinter, type Column } from './table.ts';
import { age, printJson, printNotice, time } from './terminal.ts';
import { parsePositiveInt } from './positive-int.ts';

interface Options {
  readonly tenant?: string;
  readonly limit: number;
  readonly wide?: true;
  readonly json?: true;
}

const COLUMNS: Column<ParkedJob>[] = [
  { title: 'JOB', text: ({ jobId }) => jobId },
  { title: 'TENANT', text: ({ tenant }) => tenant, cut: 'middle' },
  { title: 'KEY', only: 'wide', text: ({ keyArn }) => keyArn },
  { title: 'CODE', text: ({ code }) => code },
  { title: 'AGE', only: 'narrow', text: ({ since }) => age(since) },
  { title: 'SINCE', only: 'wide', text: ({ since }) => time(since) },
  { title: 'COUNT', text: ({ count }) => String(count) },
];

export function parkedCommand(): Command {
  return new Command('parked')
    .description('list and discard parked jobs')
    .addCommand(listCommand())
    .addCommand(discardParkedCommand())
    .addHelpText('after', '\nExample:\n  sealdex parked list --tenant acme');
}

function listCommand(): Command {
  return new Command('list')
    .description('list parked jobs, oldest first')
    .option('--tenant <name>', ONLY_TENANT)
    .option('--limit <n>', 'maximum number of results', parsePositiveInt, 50)
    .option('--wide', WIDE)
    .option('--json', jsonLines('job'))
    .addHelpText(
      'after',
      `
Parked jobs resume automatically when their gate opens. To see who must act:
sealdex keys list. COUNT is the number of times a job was parked. The list can
be incomplete while jobs are being released.

Examples:
  sealdex parked list
  sealdex parked list --tenant acme --limit 1000 --json`,
    )
    .action(async ({ tenant, limit, wide, json: asJson }: Options) => {
      if (tenant !== undefined) checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const print = asJson ? { add: printJson, flush: () => {} } : createTablePrinter(COLUMNS, wide === true);
        let listed = 0;
        let isCut = false;
        for await (const job of operator.parkedJobs({ tenant, size: limit + 1 })) {
          isCut = listed === limit;
          if (isCut) break;
          listed += 1;
          print.add(job);
        }
        print.flush();
        if (listed === 0)
          printNotice(tenant === undefined ? 'No jobs are parked.' : `Tenant ${tenant} has no parked jobs.`);
        if (isCut) printNotice('More jobs are parked. Use --limit N to list them; sealdex keys list shows the total.');
      });
    });
}
