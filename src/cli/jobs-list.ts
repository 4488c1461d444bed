// `sealdex jobs list`: jobs that have not ended.
import { Command, InvalidArgumentError, Option } from 'commander';
import type { JobFilter, UnfinishedJob, UnfinishedState } from '../app/app.ts';
import type { Code } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { given } from './arguments.ts';
import { parseCode } from './dead-filter.ts';
import { jsonLines, ONLY_TENANT, WIDE } from './option-texts.ts';
import { parsePositiveInt } from './positive-int.ts';
import { createTablePrinter, type Column } from './table.ts';
import { age, printJson, printNotice, time } from './terminal.ts';
import { parseTime, type TimeOption } from './time-option.ts';
import { withOperator } from './with-clients.ts';

interface Options {
  readonly tenant?: string;
  readonly state?: UnfinishedState;
  readonly code?: Code;
  readonly olderThan?: TimeOption;
  readonly limit: number;
  readonly wide?: true;
  readonly json?: true;
}

const STATES: readonly UnfinishedState[] = ['active', 'retrying', 'parked', 'queued'];

const COLUMNS: Column<UnfinishedJob>[] = [
  { title: 'JOB', text: ({ jobId }) => jobId },
  { title: 'TENANT', text: ({ tenant = '-' }) => tenant, cut: 'middle' },
  { title: 'CORPUS', only: 'wide', text: ({ corpus = '-' }) => corpus },
  { title: 'KIND', only: 'wide', text: ({ kind = '-' }) => kind },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'CODE', text: ({ code = '-' }) => code },
  { title: 'AGE', only: 'narrow', text: ({ queuedAt }) => (queuedAt === undefined ? '-' : age(queuedAt)) },
  { title: 'QUEUED', only: 'wide', text: ({ queuedAt }) => (queuedAt === undefined ? '-' : time(queuedAt)) },
];

export function listJobsCommand(): Command {
  return new Command('list')
    .description('list jobs that have not finished')
    .option('--tenant <name>', ONLY_TENANT)
    .addOption(new Option('--state <state>', 'only this state').choices(STATES).argParser(parseState))
    .option('--code <code>', 'only this code, for example KEY_DISABLED', parseCode)
    .option(
      '--older-than <age>',
      'only jobs queued earlier: an age with its unit (30m, 2h, 7d) or a UTC time',
      parseTime,
    )
    .option('--limit <n>', 'maximum number of results', parsePositiveInt, 100)
    .option('--wide', WIDE)
    .option('--json', jsonLines('job'))
    .addHelpText(
      'after',
      `
Active jobs come first, then retrying and parked ones, then queued ones (waiting
in sealdex status). AGE is the time since the job was queued. A job that changes
its state meanwhile can be missing or listed twice. With a filter, the command
reads all jobs until the limit is reached.

For dead letters: sealdex dead list. For who must act on parked jobs: sealdex
keys list. For one job, also a finished one: sealdex jobs show.

Examples:
  sealdex jobs list
  sealdex jobs list --tenant acme --state parked --code KEY_DISABLED
  sealdex jobs list --older-than 2h --json`,
    )
    .action(list);
}

function parseState(text: string): UnfinishedState {
  const state = STATES.find((each) => each === text);
  if (state) return state;
  throw new InvalidArgumentError(
    text === 'dead' ? 'For dead letters: sealdex dead list.' : `Expected ${STATES.join(', ')}.`,
  );
}

async function list({ tenant, state, code, olderThan, limit, wide, json: asJson }: Options): Promise<void> {
  if (tenant !== undefined) checkName(tenant, 'tenant');
  const filter: JobFilter = given({ tenant, state, code, queuedBefore: olderThan?.at });
  await withOperator(async (operator) => {
    const print = asJson ? { add: printJson, flush: () => {} } : createTablePrinter(COLUMNS, wide === true);
    let listed = 0;
    let isCut = false;
    for await (const job of operator.jobs(filter)) {
      isCut = listed === limit;
      if (isCut) break;
      listed += 1;
      print.add(job);
    }
    print.flush();
    if (isCut) printNotice('There are more jobs. Use --limit N to list them; sealdex status shows the totals.');
    if (listed === 0)
      printNotice(
        Object.keys(filter).length === 0
          ? 'No jobs are active, retrying, parked or queued. For dead letters: sealdex dead list'
          : 'No jobs match the filter. For dead letters: sealdex dead list',
      );
  });
}
