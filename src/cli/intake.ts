// `sealdex intake sweep`: content in S3 that no job names.
import { Command } from 'commander';
import type { Operator, TenantOrphans } from '../app/app.ts';
import { UsageError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { JSON_OBJECT } from './option-texts.ts';
import { parsePositiveInt } from './positive-int.ts';
import { createTablePrinter, type Column } from './table.ts';
import { age, counted, printJson, printLine, printNotice } from './terminal.ts';
import { withOperator } from './with-clients.ts';

interface Options {
  readonly dryRun?: true;
  readonly take?: number;
  readonly json?: true;
}

const COLUMNS: Column<TenantOrphans>[] = [
  { title: 'TENANT', text: ({ tenant }) => tenant, cut: 'middle' },
  { title: 'OBJECTS', text: ({ objects }) => String(objects), alignsRight: true },
  { title: 'BYTES', text: ({ bytes }) => String(bytes), alignsRight: true },
  { title: 'OLDEST', text: ({ oldest }) => age(oldest) },
];

export function intakeCommand(): Command {
  return new Command('intake')
    .description('inspect and delete content without a job')
    .addCommand(sweepCommand())
    .addHelpText('after', '\nExample:\n  sealdex intake sweep --dry-run');
}

function sweepCommand(): Command {
  return new Command('sweep')
    .description('delete content in intake that no job names')
    .option('--dry-run', 'list content without a job by tenant and delete nothing')
    .option('--take <n>', 'maximum number of objects to delete, oldest first', parsePositiveInt)
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
A worker does this once a day, up to a safety limit: docs/deleting.md. --take
overrides the limit, and the rule that nothing is deleted after the number of
jobs with content has more than halved. Find out why the jobs are missing first.
Only content that two sweeps a day apart have found is deleted.

Examples:
  sealdex intake sweep --dry-run
  sealdex intake sweep --take 5000`,
    )
    .action(async (options: Options) => {
      if ((options.dryRun === undefined) === (options.take === undefined))
        throw new UsageError('Specify either --dry-run or --take N.');
      await untilInterrupted((signal) => withOperator((operator) => run(operator, options, signal)));
    });
}

async function run(operator: Operator, { dryRun, take, json: asJson }: Options, signal: AbortSignal): Promise<void> {
  const swept = await operator.sweepIntake({ take, isDry: dryRun === true, signal });
  if (asJson) return printJson(swept);
  const { seen, due, taken, tenants } = swept;
  const print = createTablePrinter(COLUMNS, false);
  for (const each of tenants) print.add(each);
  print.flush();
  if (tenants.length === 0) printNotice(`All ${counted(seen, 'object')} in intake belong to jobs or are new.`);
  printLine(dryRun ? `${counted(due, 'object')} can be deleted` : `deleted ${counted(taken, 'object')} of ${due}`);
}
