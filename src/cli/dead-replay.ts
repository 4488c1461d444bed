// `sealdex dead replay`: returns dead letters to the queue, with a progress bar and a summary of the outcomes.
import { Command, InvalidArgumentError } from 'commander';
import type { Operator, Replayed } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { checkSelection, selectLetters, countsOf, interruptedCode, parts, withProgress } from './dead-selection.ts';
import { optionsOf, withFilter, type FilterOptions } from './dead-filter.ts';
import { untilInterrupted } from './interrupt.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT } from './option-texts.ts';
import { printJson, printLine } from './terminal.ts';
import { parsePositiveInt } from './positive-int.ts';
import { host } from './host.ts';

interface Options extends FilterOptions {
  readonly all?: true;
  readonly rate?: number;
  readonly dryRun?: true;
  readonly json?: true;
}

const MAX_RATE = 500;
const NOT_ALL = 65;
const UNFINISHED = 75;

export function replayCommand(): Command {
  return withFilter(
    new Command('replay').description('re-enqueue dead letters'),
    'maximum number of dead letters, oldest first',
  )
    .argument('[job...]', 'job ids')
    .option('--all', 'every dead letter of every tenant')
    .option('--rate <n>', `dead letters per second, 1 to ${MAX_RATE} (default: 50)`, rateIn)
    .option('--dry-run', 'print counts and change nothing')
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Replays only dead letters that existed at the start, each exactly once even if
several replays run. After Ctrl-C, run the command again to continue. Then waits
for results until none arrives for 10s.

Exit codes:
  0   success
  65  at least one failed again or is too old
  66  a given job is not a dead letter
  75  at least one is still running

Examples:
  sealdex dead replay --tenant acme --code KEY_DESTROYED --dry-run
  sealdex dead replay --tenant acme --code KEY_DESTROYED --rate 200
  sealdex dead replay j0123456789abcdef0123456789abcdef`,
    )
    .action((jobs: string[], options: Options) => {
      checkSelection(jobs, options);
      return untilInterrupted((signal) => withOperator((operator) => run(operator, jobs, options, signal)));
    });
}

function rateIn(text: string): number {
  const rate = parsePositiveInt(text);
  if (rate > MAX_RATE) throw new InvalidArgumentError(`Expected an integer from 1 to ${MAX_RATE}.`);
  return rate;
}

const exitOf = ({ deadAgain, tooOld, underWay }: Replayed): number =>
  deadAgain.size + tooOld > 0 ? NOT_ALL : underWay > 0 ? UNFINISHED : 0;

async function run(operator: Operator, jobs: readonly string[], options: Options, signal: AbortSignal): Promise<void> {
  const { filter, codes, total } = await selectLetters(operator, jobs, options, systemClock.now() + 1, signal);
  if (options.dryRun) {
    if (options.json) printJson({ letters: total, codes: Object.fromEntries(codes) });
    else printLine(`would replay ${total}${total === 0 ? '' : `: ${countsOf(codes)}`}`);
    return;
  }
  const last = await withProgress<Replayed>(
    {
      label: 'replayed',
      total,
      asJson: options.json === true,
      countOf: ({ sent }) => sent,
      summarize: (result) => summarize(result, options),
    },
    (onProgress) => operator.replay(filter, { rate: options.rate, signal, onProgress }),
  );
  host().exitCode = interruptedCode(signal) ?? host().exitCode ?? exitOf(last);
}

function summarize(replayed: Replayed, options: Options): void {
  if (options.json) printJson({ ...replayed, deadAgain: Object.fromEntries(replayed.deadAgain) });
  else for (const line of linesOf(replayed, options)) printLine(line);
}

/** `replayed 500: 480 succeeded, 12 superseded by a newer revision, 8 failed again; see sealdex dead list`, and what was not replayed. */
function linesOf(replayed: Replayed, { tenant }: FilterOptions): string[] {
  const { sent, stored, superseded, unknown, underWay, alreadyTaken, tooOld, deadAgain } = replayed;
  const codes = [...deadAgain.keys()];
  const again = [...deadAgain.values()].reduce((sum, count) => sum + count, 0);
  const those = optionsOf({
    ...(tenant === undefined ? {} : { tenant }),
    ...(codes.length === 1 && codes[0] !== undefined ? { code: codes[0] } : {}),
  });
  const results = parts(
    [stored, `${stored} succeeded`],
    [superseded, `${superseded} superseded by a newer revision`],
    [unknown, `${unknown} with unknown result`],
    [underWay, `${underWay} still running (check sealdex status for workers)`],
    [again, `${again} failed again; see ${['sealdex dead list', ...those].join(' ')}`],
  );
  return [
    `replayed ${sent}${results.length === 0 ? '' : `: ${results.join(', ')}`}`,
    ...parts(
      [tooOld, `${tooOld} too old to replay (submit the documents again)`],
      [alreadyTaken, `${alreadyTaken} already handled by another process`],
    ),
  ];
}
