// `sealdex demo`: runs the guided tour on local services and prints its results.
import { Command } from 'commander';
import type { Claim, DemoScreen } from '../demo/demo.ts';
import { loadLocalAws, NEEDS_LOCAL_PACKAGE, orUnavailable } from './dev/local-package.ts';
import { READERS_MISSING, readersFolder } from '../extract/readers.ts';
import { MissingPrerequisiteError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { tableLines, type Column } from './table.ts';
import { progressBar, printJson, printLine, printNotice, wrapped, type ProgressBar } from './terminal.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description('run a self-contained demonstration')
    .option('--json', 'print the results as a final line of JSON')
    .addHelpText(
      'after',
      `
Starts a local Redis, S3 and KMS, indexes documents from node_modules, extracts
files in a dozen formats, disables and re-enables a tenant's KMS key, replays a
dead letter, and cleans up. Takes under 30s.
${NEEDS_LOCAL_PACKAGE}

Exit codes:
  0  all checks passed
  1  a check failed

Examples:
  sealdex demo
  sealdex demo --json`,
    )
    .action(({ json: asJson }: { json?: true }) => untilInterrupted((signal) => run(signal, asJson === true)));
}

const CLAIM_COLUMNS: Column<Claim>[] = [
  { title: 'CLAIM', text: ({ claim }) => claim },
  { title: 'HOLDS', text: ({ holds }) => (holds === undefined ? '-' : holds ? 'yes' : 'NO') },
  { title: 'MEASURED', text: ({ measured }) => measured, wraps: true },
];

const linesOf = (claims: readonly Claim[]): string[] => [
  '',
  ...tableLines(CLAIM_COLUMNS, claims, false),
  '',
  'To continue by hand: npx sealdex dev',
];

async function run(signal: AbortSignal, asJson: boolean): Promise<void> {
  const screen = createScreen(asJson ? process.stderr : process.stdout);
  const { startServices } = await import('./dev/local-services.ts');
  await loadLocalAws();
  if (readersFolder() === undefined) throw new MissingPrerequisiteError(READERS_MISSING);
  const services = await orUnavailable(() => startServices({ signal }));
  try {
    screen.say('Started a local Redis, S3 and KMS. No AWS account is needed, and everything is removed at the end.');
    const { runDemo } = await import('../demo/demo.ts');
    const { result, claims } = await orUnavailable(() => runDemo(services, screen, signal));
    screen.end();
    if (asJson) printJson(result);
    else for (const line of linesOf(claims)) printLine(line);
    if (claims.some(({ holds }) => holds === false)) process.exitCode = 1;
  } finally {
    screen.end();
    await services.stop();
  }
}

/** Lines and progress bars, one bar at a time. */
function createScreen(stream: NodeJS.WriteStream): DemoScreen & { end(): void } {
  let current: { label: string; bar: ProgressBar } | undefined;
  const end = (): void => {
    current?.bar.end();
    current = undefined;
  };
  return {
    say(line) {
      end();
      const print = stream === process.stdout ? printLine : printNotice;
      print(stream.isTTY ? wrapped(line, stream.columns) : line);
    },
    progress(label, done, total) {
      if (current?.label !== label) end();
      current ??= { label, bar: progressBar(label) };
      current.bar.update(done, total);
    },
    end,
  };
}
