// `sealdex jobs list`: jobs that have not ended.
import { Command, InvalidArgumentError } from 'commander';
import type { JobFilter, UnfinishedJob, UnfinishedState } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Code } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { approximateDuration } from '../runtime/units.ts';
import { given } from './arguments.ts';
import { parseCode } from './dead-filter.ts';
import { jsonLines, ONLY_TENANT } from './option-texts.ts';
import { parsePositiveInt } from './positive-int.ts';
import { oneLine, printJson, printLine, printNotice, table } from './terminal.ts';
import { parseTime, type TimeOption } from './time-option.ts';
import { withOperator } from './with-clients.ts';

interface Options {
  readonly tenant?: string;
  readonly state?: UnfinishedState;
  readonly code?: Code;
  readonly olderThan?: TimeOption;
  readonly limit: number;
  readonly json?: true;
}

const STATES: readonly UnfinishedState[] = ['active', 'retrying', 'parked', 'queued'];

/** How many lines share the width of their columns. */
const ROWS = 500;

export function listJobsCommand(): Command {
  return new Command('list')
    .description('list jobs that have not finished')
    .option('--tenant <name>', ONLY_TENANT)
    .option('--state <state>', `only this state: ${STATES.join(', ')}`, parseState)
    .option('--code <code>', 'only this code, for example KEY_DISABLED', parseCode)
    .option('--older-than <age>', 'only jobs queued earlier: an age (30m, 2h, 7d) or a UTC time', parseTime)
    .option('--limit <n>', 'maximum number of results', parsePositiveInt, 100)
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

async function list({ tenant, state, code, olderThan, limit, json: asJson }: Options): Promise<void> {
  if (tenant !== undefined) checkName(tenant, 'tenant');
  const filter: JobFilter = given({ tenant, state, code, queuedBefore: olderThan?.at });
  await withOperator(async (operator) => {
    const print = asJson ? { add: printJson, end: () => {} } : createTable();
    let listed = 0;
    let isCut = false;
    for await (const job of operator.jobs(filter)) {
      isCut = listed === limit;
      if (isCut) break;
      listed += 1;
      print.add(job);
    }
    print.end();
    if (isCut) printNotice('There are more jobs. Use --limit N to list them; sealdex status shows the totals.');
    if (listed === 0)
      printNotice(
        Object.keys(filter).length === 0
          ? 'No jobs are active, retrying, parked or queued. For dead letters: sealdex dead list'
          : 'No jobs match the filter. For dead letters: sealdex dead list',
      );
  });
}

const cellsOf = ({ jobId, tenant, corpus, kind, state, code, queuedAt }: UnfinishedJob, now: number): string[] => [
  oneLine(jobId),
  tenant ?? '-',
  corpus ?? '-',
  kind ?? '-',
  state,
  code ?? '-',
  queuedAt === undefined ? '-' : approximateDuration(Math.max(0, now - queuedAt)),
];

/** A table that is printed some lines at a time, however long it gets. */
function createTable(): { add(job: UnfinishedJob): void; end(): void } {
  let rows: string[][] = [];
  const end = (): void => {
    if (rows.length > 0)
      for (const line of table([['JOB', 'TENANT', 'CORPUS', 'KIND', 'STATE', 'CODE', 'AGE'], ...rows])) printLine(line);
    rows = [];
  };
  return {
    add(job) {
      rows.push(cellsOf(job, systemClock.now()));
      if (rows.length === ROWS) end();
    },
    end,
  };
}
