// `sealdex parked list`: the jobs that wait for a KMS key, or for the operator's word.
import { Command } from 'commander';
import type { ParkedJob } from '../app/app.ts';
import { checkName } from '../runtime/names.ts';
import { withOperator } from './with-clients.ts';
import { jsonLines, ONLY_TENANT } from './option-texts.ts';
import { printJson, printLine, printNotice, table, time } from './terminal.ts';
import { parsePositiveInt } from './positive-int.ts';

interface Options {
  readonly tenant?: string;
  readonly limit: number;
  readonly json?: true;
}

/** How many lines share the width of their columns. */
const ROWS = 500;

export function parkedCommand(): Command {
  return new Command('parked')
    .description('list parked jobs')
    .addCommand(listCommand())
    .addHelpText('after', '\nExample:\n  sealdex parked list --tenant acme');
}

function listCommand(): Command {
  return new Command('list')
    .description('list parked jobs, oldest first')
    .option('--tenant <name>', ONLY_TENANT)
    .option('--limit <n>', 'maximum number of results', parsePositiveInt, 50)
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
    .action(async ({ tenant, limit, json: asJson }: Options) => {
      if (tenant !== undefined) checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        const print = asJson ? { add: printJson, end: () => {} } : createTable();
        let listed = 0;
        let isCut = false;
        for await (const job of operator.parkedJobs({ tenant, size: limit + 1 })) {
          isCut = listed === limit;
          if (isCut) break;
          listed += 1;
          print.add(job);
        }
        print.end();
        if (listed === 0)
          printNotice(tenant === undefined ? 'No jobs are parked.' : `Tenant ${tenant} has no parked jobs.`);
        if (isCut) printNotice('More jobs are parked. Use --limit N to list them; sealdex keys list shows the total.');
      });
    });
}

const cellsOf = ({ jobId, tenant, keyArn, code, since, count }: ParkedJob): string[] => [
  jobId,
  tenant,
  keyArn,
  code,
  time(since),
  String(count),
];

/** A table that is printed some lines at a time, however long it gets. */
function createTable(): { add(job: ParkedJob): void; end(): void } {
  let rows: string[][] = [['JOB', 'TENANT', 'KEY', 'CODE', 'SINCE', 'COUNT']];
  const end = (): void => {
    if (rows.some(([job]) => job !== 'JOB')) for (const line of table(rows)) printLine(line);
    rows = [];
  };
  return {
    add(job) {
      rows.push(cellsOf(job));
      if (rows.length > ROWS) end();
    },
    end,
  };
}
