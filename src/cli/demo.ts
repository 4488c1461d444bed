// `sealdex demo`: the whole way on real documents, with everything embedded. Prints what src/demo tells.
import { Command } from 'commander';
import { loadLocalAws, NEEDS_LOCAL_PACKAGE, orUnavailable } from './dev/local-package.ts';
import { untilInterrupted } from './interrupt.ts';
import { progressBar, printJson, printLine, printNotice, table, wrapped, type ProgressBar } from './terminal.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description('watch it work on real documents, with everything embedded')
    .option('--json', 'the figures as one last line of JSON')
    .addHelpText(
      'after',
      `
Starts Redis, S3 and KMS on this machine, indexes documents of the installed packages, reads files of a dozen
formats, lets a tenant disable its KMS key and enable it again, replays a dead letter, and stops again.
Takes under 30 seconds. Exit code 1 when a claim does not hold.
${NEEDS_LOCAL_PACKAGE}

Examples:
  sealdex demo
  sealdex demo --json`,
    )
    .action(({ json: asJson }: { json?: true }) =>
      untilInterrupted(async (signal) => {
        const { startServices } = await import('./dev/local-services.ts');
        await loadLocalAws();
        const { runDemo } = await import('../demo/demo.ts');
        const screen = createScreen(asJson ? process.stderr : process.stdout);
        try {
          const report = await orUnavailable(() => runDemo(screen, signal, startServices));
          screen.end();
          if (asJson) printJson(report.result);
          else for (const line of linesOf(report)) printLine(line);
          if (!isGood(report.result)) process.exitCode = 1;
        } finally {
          screen.end();
        }
      }),
    );
}

/** As src/demo reports it. */
interface DemoReport {
  readonly result: {
    readonly documents: number;
    readonly failed: number;
    readonly seconds: number;
    readonly documentsPerSecond: number;
    readonly readBack: boolean;
    readonly officialDecrypt: boolean;
    readonly plaintextFoundInRedis: boolean;
    readonly plaintextFoundInS3: boolean;
    readonly parked: {
      readonly jobs: number;
      readonly probes: number;
      readonly kmsCallsWhileShut: number;
      readonly releasedPerSecond: number;
      readonly lost: number;
    };
    readonly others: { readonly p50MsBefore: number; readonly p50MsDuring: number };
    readonly dead: { readonly before: number; readonly after: number };
    readonly uploads: {
      readonly files: number;
      readonly types: number;
      readonly stored: number;
      readonly dead: number;
    };
  };
  readonly bytes: number;
  readonly kmsByTenant: readonly { readonly tenant: string; readonly operation: string; readonly calls: number }[];
}

const isGood = (result: DemoReport['result']): boolean =>
  result.failed === 0 &&
  result.readBack &&
  result.officialDecrypt &&
  !result.plaintextFoundInRedis &&
  !result.plaintextFoundInS3 &&
  // Of what never happened nothing would be shown.
  result.parked.jobs > 0 &&
  result.parked.kmsCallsWhileShut <= 2 * result.parked.probes &&
  result.parked.lost === 0 &&
  result.dead.before > 0 &&
  result.dead.after === 0 &&
  // One file is cut off on purpose.
  result.uploads.dead === 1 &&
  result.uploads.stored === result.uploads.files - 1 &&
  result.uploads.types >= 8;

function linesOf({ result, bytes, kmsByTenant }: DemoReport): string[] {
  const { documents, failed, seconds, documentsPerSecond, parked, others, dead, uploads } = result;
  return [
    '',
    ...table([
      ['DOCUMENTS', 'FAILED', 'MEGABYTES', 'SECONDS', 'DOCUMENTS/S'],
      [documents, failed, (bytes / 1e6).toFixed(1), seconds.toFixed(1), documentsPerSecond.toFixed(0)].map(String),
    ]),
    '',
    ...table([
      ['FILES', 'FORMATS', 'STORED', 'CUT OFF: DEAD'],
      [uploads.files, uploads.types, uploads.stored, uploads.dead].map(String),
    ]),
    '',
    ...table([
      ['TENANT', 'KMS CALL', 'CALLS'],
      ...kmsByTenant.map(({ tenant, operation, calls }) => [tenant, operation, String(calls)]),
    ]),
    '',
    ...table([
      ['PARKED', 'PROBES', 'KMS CALLS WHILE SHUT', 'RELEASED/S', 'LOST', "OTHERS' MEDIAN"],
      [
        parked.jobs,
        parked.probes,
        parked.kmsCallsWhileShut,
        parked.releasedPerSecond,
        parked.lost,
        `${Math.round(others.p50MsBefore)} -> ${Math.round(others.p50MsDuring)} ms`,
      ].map(String),
    ]),
    '',
    ...table([['DEAD', 'AFTER REPLAY'], [dead.before, dead.after].map(String)]),
    '',
    'To go on by hand: npx sealdex dev',
  ];
}

/** Story lines and progress bars, one bar at a time. */
function createScreen(stream: NodeJS.WriteStream): {
  say(line: string): void;
  progress(label: string, done: number, total: number): void;
  readonly columns: number | undefined;
  end(): void;
} {
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
    get columns() {
      return stream.isTTY ? stream.columns : undefined;
    },
    end,
  };
}
