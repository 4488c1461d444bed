// `sealdex dead replay`: dead letters back into the queue, with a bar, and a last line that says how they ended.
import { Command, InvalidArgumentError } from 'commander';
import type { Operator, Replayed } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { selectLetters, countsOf, interruptedCode, parts, withProgress } from './dead-selection.ts';
import { optionsOf, withFilter, type FilterOptions } from './dead-filter.ts';
import { untilInterrupted } from './interrupt.ts';
import { withOperator } from './with-clients.ts';
import { printJson, printLine } from './terminal.ts';
import { parsePositiveInt } from './positive-int.ts';
import { host } from './host.ts';

interface Options extends FilterOptions {
  readonly rate?: number;
  readonly dryRun?: true;
  readonly json?: true;
}

const MAX_RATE = 500;
const NOT_ALL = 65;
const UNFINISHED = 75;

export function replayCommand(): Command {
  return withFilter(
    new Command('replay').description('send dead letters again'),
    'no more than this many, oldest first',
  )
    .argument('[job...]', 'these alone; without them and without a filter, all')
    .option('--rate <n>', `letters a second, up to ${MAX_RATE} (50)`, rateIn)
    .option('--dry-run', 'only say how many there are')
    .option('--json', 'one line of JSON')
    .addHelpText(
      'after',
      `
Only letters from before its start are sent, each once however many replays run. After Ctrl-C, run it again:
it takes what is left. It then waits for the ends until none comes for 10 seconds.
Exit code: 0 all well, 65 some died again or are too old, 66 a named job is no dead letter,
75 some are still under way.

Examples:
  sealdex dead replay --tenant acme --code KEY_DESTROYED --dry-run
  sealdex dead replay --tenant acme --code KEY_DESTROYED --rate 200
  sealdex dead replay j0123456789abcdef0123456789abcdef`,
    )
    .action((jobs: string[], options: Options) =>
      untilInterrupted((signal) => withOperator((operator) => run(operator, jobs, options, signal))),
    );
}

function rateIn(text: string): number {
  const rate = parsePositiveInt(text);
  if (rate > MAX_RATE) throw new InvalidArgumentError(`Give at most ${MAX_RATE}.`);
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
  else printLine(lineOf(replayed, options));
}

/** `replayed 480, superseded 12 (newer revision stored), dead again 8: sealdex dead list --code CONTENT_MISSING` */
function lineOf(replayed: Replayed, { tenant }: FilterOptions): string {
  const { stored, superseded, unknown, underWay, alreadyTaken, tooOld, deadAgain } = replayed;
  const codes = [...deadAgain.keys()];
  const again = [...deadAgain.values()].reduce((sum, count) => sum + count, 0);
  const those = optionsOf({
    ...(tenant === undefined ? {} : { tenant }),
    ...(codes.length === 1 && codes[0] !== undefined ? { code: codes[0] } : {}),
  });
  const more = parts(
    [superseded, `superseded ${superseded} (newer revision stored)`],
    [unknown, `${unknown} ended unseen`],
    [alreadyTaken, `${alreadyTaken} already taken by somebody else`],
    [tooOld, `${tooOld} too old to replay (index them again)`],
    [underWay, `${underWay} still under way (sealdex status shows whether a worker runs)`],
    [again, `dead again ${again}: ${['sealdex dead list', ...those].join(' ')}`],
  );
  return [`replayed ${stored}`, ...more].join(', ');
}
