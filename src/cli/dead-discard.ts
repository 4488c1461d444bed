// `sealdex dead discard`: deletes dead letters permanently, after a confirmation.
import { Command } from 'commander';
import type { Discarded, Operator } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { promptUser, canAsk, isYes } from './prompt.ts';
import { checkSelection, selectLetters, countsOf, interruptedCode, parts, withProgress } from './dead-selection.ts';
import { withFilter, type FilterOptions } from './dead-filter.ts';
import { UsageError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT, YES } from './option-texts.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options extends FilterOptions {
  readonly all?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function discardCommand(): Command {
  return withFilter(
    new Command('discard').description('permanently delete dead letters'),
    'maximum number of dead letters, oldest first',
  )
    .argument('[job...]', 'job ids')
    .option('--all', 'every dead letter of every tenant')
    .option('--yes', YES)
    .option('--json', `${JSON_OBJECT}; requires --yes`)
    .addHelpText(
      'after',
      `
Deletes the jobs and their content; stored documents are not affected.
Asks for confirmation.

Examples:
  sealdex dead discard --tenant acme --code DOCUMENT_CONFLICT
  sealdex dead discard --yes j0123456789abcdef0123456789abcdef`,
    )
    .action((jobs: string[], options: Options) => {
      checkChoice(jobs, options);
      return untilInterrupted((signal) => withOperator((operator) => run(operator, jobs, options, signal)));
    });
}

/** @throws UsageError */
function checkChoice(jobs: readonly string[], options: Options): void {
  checkSelection(jobs, options);
  const { yes, json: asJson } = options;
  if (!yes && (asJson || !canAsk())) throw new UsageError('Cannot ask for confirmation without a terminal. Use --yes.');
}

async function run(operator: Operator, jobs: readonly string[], options: Options, signal: AbortSignal): Promise<void> {
  // Jobs that become dead letters after the question are not discarded.
  const { filter, codes, total } = await selectLetters(operator, jobs, options, systemClock.now() + 1, signal);
  if (total > 0 && !options.yes && !(await isConfirmed(total, codes, signal)))
    return printNotice('No dead letters were deleted.');
  await withProgress<Discarded>(
    {
      label: 'discarded',
      total,
      asJson: options.json === true,
      countOf: ({ discarded }) => discarded,
      summarize: (result) => summarize(result, options),
    },
    (onProgress) => operator.discard(filter, { signal, onProgress }),
  );
  host().exitCode = interruptedCode(signal) ?? host().exitCode ?? 0;
}

async function isConfirmed(total: number, codes: ReadonlyMap<string, number>, signal: AbortSignal): Promise<boolean> {
  const what = `${total} dead letter${total === 1 ? '' : 's'} (${countsOf(codes)})`;
  return isYes(
    await promptUser(`Permanently delete ${what} and ${total === 1 ? 'its' : 'their'} content? [y/N] `, signal),
  );
}

function summarize(discarded: Discarded, { json: asJson }: Options): void {
  if (asJson) return printJson(discarded);
  const { alreadyTaken, contentLeft } = discarded;
  const more = parts(
    [alreadyTaken, `${alreadyTaken} already handled by another process`],
    [contentLeft, `content of ${contentLeft} not deleted yet; it is deleted within minutes`],
  );
  printLine([`discarded ${discarded.discarded}`, ...more].join(', '));
}
