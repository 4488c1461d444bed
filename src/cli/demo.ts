// `sealdex demo`: the whole way on real documents, with everything embedded. Prints what src/dev/demo tells.
// Needs a checkout: the embedded services are not part of the package.
import { Command } from 'commander';
import { fromCheckout } from './checkout.ts';
import { untilInterrupted } from './interrupt.ts';
import { bar, json, out, say, table, type Bar } from './terminal.ts';

export function demoCommand(): Command {
  return new Command('demo')
    .description('watch it work on real documents, with everything embedded')
    .option('--json', 'the figures as one last line of JSON')
    .addHelpText(
      'after',
      '\nStarts Redis, S3 and KMS on this machine, indexes documents of the installed packages and stops again.\nNeeds a checkout of sealdex; takes under 30 seconds.\n\nExample:\n  sealdex demo',
    )
    .action(({ json: asJson }: { json?: true }) =>
      untilInterrupted(async (signal) => {
        const { runDemo } = await fromCheckout(() => import('../dev/demo/demo.ts'));
        const screen = createScreen(asJson ? say : out);
        const { result, bytes, kmsByTenant } = await runDemo(screen, signal);
        screen.end();
        const { documents, failed, seconds, documentsPerSecond } = result;
        if (!asJson) {
          out('');
          for (const line of table([
            ['DOCUMENTS', 'FAILED', 'MEGABYTES', 'SECONDS', 'DOCUMENTS/S'],
            [documents, failed, (bytes / 1e6).toFixed(1), seconds.toFixed(1), documentsPerSecond.toFixed(0)].map(
              String,
            ),
          ]))
            out(line);
          out('');
          for (const line of table([
            ['TENANT', 'KMS CALL', 'CALLS'],
            ...kmsByTenant.map(({ tenant, operation, calls }) => [tenant, operation, String(calls)]),
          ]))
            out(line);
        }
        const isGood =
          failed === 0 &&
          result.readBack &&
          result.officialDecrypt &&
          !result.plaintextFoundInRedis &&
          !result.plaintextFoundInS3;
        if (asJson) json(result);
        if (!isGood) process.exitCode = 1;
      }),
    );
}

/** Story lines and progress bars, one bar at a time. */
function createScreen(print: (line: string) => void): {
  say(line: string): void;
  progress(label: string, done: number, total: number): void;
  end(): void;
} {
  let current: { label: string; bar: Bar } | undefined;
  const end = (): void => {
    current?.bar.end();
    current = undefined;
  };
  return {
    say(line) {
      end();
      print(line);
    },
    progress(label, done, total) {
      if (current?.label !== label) end();
      current ??= { label, bar: bar(label) };
      current.bar.update(done, total);
    },
    end,
  };
}
