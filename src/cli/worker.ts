// `sealdex worker`: takes jobs until it is told to stop.
import { Command } from 'commander';
import { aborted, untilInterrupted } from './interrupt.ts';
import { printNotice } from './terminal.ts';
import { host } from './host.ts';

export function workerCommand(): Command {
  return new Command('worker')
    .description('take jobs from the queues, documents and files, until SIGTERM or Ctrl-C')
    .addHelpText(
      'after',
      `
Logs JSON lines to standard output. /livez, /readyz and /metrics are on SEALDEX_PORT.
At SIGTERM it finishes what it can within SEALDEX_DRAIN_MS, hands the rest back to the queue,
and ends within SEALDEX_STOP_MS. Run as many as you like: they share the queue.

Example:
  REDIS_URL=redis://… SEALDEX_BUCKET=… SEALDEX_PLATFORM_KEY_ARN=arn:aws:kms:… sealdex worker`,
    )
    .action(() =>
      untilInterrupted(async (signal) => {
        const tell = (): void => {
          if (host().stderr.isTTY) printNotice('Stopping …; Ctrl-C once more ends it at once.');
        };
        signal.addEventListener('abort', tell, { once: true });
        const { startWorker } = await import('../app/app.ts');
        const worker = await startWorker(undefined, { signal, env: host().env }).catch((error: unknown) => {
          if (error === signal.reason) return undefined;
          throw error;
        });
        // Told to stop before it took a job: all that was opened is closed.
        if (!worker) return;
        await aborted(signal);
        const { isClean } = await worker.stop();
        // Redis may be gone, and its client would go on waiting for it.
        host().exit(isClean ? 0 : 1);
      }),
    );
}
