// `sealdex demo`: runs the guided tour on local services and prints the claims that it proves.
import { Command } from 'commander';
import type { Claim, DemoScreen } from '../demo/demo.ts';
import { loadLocalAws, NEEDS_LOCAL_PACKAGE, orUnavailable } from './dev/local-package.ts';
import { READERS_MISSING, readersFolder } from '../extract/readers.ts';
import { MissingPrerequisiteError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { progressBar, printJson, printLine, printNotice, table, wrapped, type ProgressBar } from './terminal.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description('watch it work on real documents, with local services')
    .option('--json', 'print the figures as one line of JSON at the end')
    .addHelpText(
      'after',
      `
Starts Redis, S3 and KMS on this machine, indexes documents of the installed packages, reads files of a dozen
types, lets a tenant disable its KMS key and enable it again, replays a dead letter, and stops again.
Takes under 30 seconds. Exit code 1 if a claim does not hold.
${NEEDS_LOCAL_PACKAGE}

Examples:
  sealdex demo
  sealdex demo --json`,
    )
    .action(({ json: asJson }: { json?: true }) => untilInterrupted((signal) => run(signal, asJson === true)));
}

const linesOf = (claims: readonly Claim[]): string[] => [
  '',
  ...table([
    ['CLAIM', 'HOLDS', 'MEASURED'],
    ...claims.map(({ claim, measured, holds }) => [claim, holds === undefined ? '-' : holds ? 'yes' : 'NO', measured]),
  ]),
  '',
  'To try the commands: npx sealdex dev',
];

async function run(signal: AbortSignal, asJson: boolean): Promise<void> {
  const screen = createScreen(asJson ? process.stderr : process.stdout);
  const { startServices } = await import('./dev/local-services.ts');
  await loadLocalAws();
  if (readersFolder() === undefined) throw new MissingPrerequisiteError(READERS_MISSING);
  const services = await orUnavailable(() => startServices({ signal }));
  try {
    screen.say('Started Redis, S3 and KMS on this machine. No AWS account is used, and nothing is left behind.');
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
