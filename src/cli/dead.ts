// `sealdex dead`: lists and shows dead letters. Replay and discard are in their own files.
import { Command } from 'commander';
import type { DeadLetter, Operator } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { reasonMessage } from '../extract/reasons.ts';
import { discardCommand } from './dead-discard.ts';
import { filterOf, optionsOf, selectionOf, withFilter, type FilterOptions } from './dead-filter.ts';
import { replayCommand } from './dead-replay.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT, jsonLines, WIDE } from './option-texts.ts';
import { age, printJson, oneLine, printLine, printNotice, time, timeAndAge } from './terminal.ts';
import { createTablePrinter, factLines, type Column, type Fact } from './table.ts';
import { host } from './host.ts';

export function deadCommand(): Command {
  return new Command('dead')
    .alias('dlq')
    .description('manage dead letters')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(replayCommand())
    .addCommand(discardCommand())
    .addHelpText(
      'after',
      `
A job that cannot succeed is kept as a dead letter, with its content, for
SEALDEX_LETTER_MAX_MS (90d).

Examples:
  sealdex dead list --tenant acme
  sealdex dead replay --tenant acme --code KEY_DESTROYED --dry-run`,
    );
}

interface ListOptions extends FilterOptions {
  readonly after?: string;
  readonly wide?: true;
  readonly json?: true;
}

const LISTED = 50;
const PAGE = 500;

function listCommand(): Command {
  return withFilter(
    new Command('list').description('list dead letters, newest first'),
    `maximum number of results (default: ${LISTED})`,
  )
    .option('--after <cursor>', 'continue from the cursor printed by the previous page')
    .option('--wide', WIDE)
    .option('--json', jsonLines('dead letter'))
    .addHelpText(
      'after',
      `
Examples:
  sealdex dead list
  sealdex dead list --tenant acme --since 2h --limit 500
  sealdex dead list --code CONTENT_MISSING --json`,
    )
    .action((options: ListOptions) => withOperator((operator) => list(operator, options)));
}

const COLUMNS: Column<DeadLetter>[] = [
  { title: 'JOB', text: ({ jobId }) => jobId },
  { title: 'KIND', only: 'wide', text: ({ kind = '-' }) => kind },
  { title: 'TENANT', text: ({ tenant = '-' }) => tenant, cut: 'middle' },
  { title: 'CODE', text: ({ code }) => code },
  { title: 'AGE', only: 'narrow', text: ({ since }) => age(since) },
  { title: 'SINCE', only: 'wide', text: ({ since }) => time(since) },
  { title: 'ATTEMPTS', only: 'wide', text: ({ attempts }) => String(attempts) },
  { title: 'REASON', text: ({ code, reason }) => reasonMessage(code, reason) ?? '', wraps: true },
];

async function list(operator: Operator, options: ListOptions): Promise<void> {
  const { limit = LISTED, ...filter } = filterOf(options);
  const table = createTablePrinter(COLUMNS, options.wide === true);
  let left = limit;
  let after = options.after;
  do {
    const page = await operator.deadList(filter, { limit: Math.min(PAGE, left), after });
    for (const letter of page.letters)
      if (options.json) printJson({ ...letter, explanation: reasonMessage(letter.code, letter.reason) });
      else table.add(letter);
    left -= page.letters.length;
    after = page.next;
  } while (after !== undefined && left > 0);
  table.flush();
  printNotice(hintOf(options, left === limit, after));
}

/** The last line: the command for the next step. */
function hintOf(options: ListOptions, isEmpty: boolean, next: string | undefined): string {
  const named = optionsOf(options);
  if (next !== undefined) return `More results: sealdex dead list ${[...named, '--after', next].join(' ')}`;
  if (isEmpty) return named.length === 0 ? 'There are no dead letters.' : 'No dead letters match.';
  return `Details: sealdex dead show JOB. To replay: sealdex dead replay ${selectionOf(options).join(' ')}`;
}

function showCommand(): Command {
  return new Command('show')
    .description('show a dead letter, its cause and remedy')
    .argument('<job>', 'job id')
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Exit codes:
  0   found
  66  not a dead letter; to find the job: sealdex jobs show JOB

Example:
  sealdex dead show j0123456789abcdef0123456789abcdef`,
    )
    .action((job: string, { json: asJson }: { json?: true }) =>
      withOperator(async (operator) => {
        const letter = await operator.deadShow(job);
        if (!letter) {
          const { state } = await operator.job(job);
          printNotice(`Job ${oneLine(job)} is not a dead letter (state: ${state}).`);
          host().exitCode = CODES.NOT_FOUND.exit;
          return;
        }
        const { description, remedy } = CODES[letter.code];
        if (asJson)
          return printJson({ ...letter, description, remedy, explanation: reasonMessage(letter.code, letter.reason) });
        for (const line of factLines(factsOf(letter))) printLine(line);
        printNotice(`To replay: sealdex dead replay ${oneLine(job)}`);
      }),
    );
}

function factsOf({ jobId, tenant, corpus, kind, revision, code, reason, since, attempts }: DeadLetter): Fact[] {
  return [
    ['job', oneLine(jobId)],
    ['kind', kind],
    ['tenant', tenant],
    ['corpus', corpus],
    ['revision', revision],
    ['code', code],
    ['reason', reasonMessage(code, reason) ?? reason],
    ['description', CODES[code].description],
    ['remedy', CODES[code].remedy],
    ['since', timeAndAge(since)],
    ['attempts', attempts],
  ];
}
