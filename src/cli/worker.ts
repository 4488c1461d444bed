// `sealdex worker`: runs a worker until SIGTERM or Ctrl-C.
import { Command } from 'commander';
import { aborted, untilInterrupted } from './interrupt.ts';
import { printNotice } from './terminal.ts';
import { commandLineEnvironment, loadConfig } from '../runtime/config.ts';
import { host } from './host.ts';

export function workerCommand(): Command {
  return new Command('worker')
    .description('run a worker until SIGTERM or Ctrl-C')
    .addHelpText(
      'after',
      `
Logs JSON lines to standard output. Serves /livez, /readyz and /metrics on
SEALDEX_PORT, on all interfaces unless SEALDEX_HOST is set. On SIGTERM the
worker finishes running jobs for up to SEALDEX_DRAIN_MS, returns the rest to
the queue and exits within SEALDEX_STOP_MS. Workers share the queue; run as
many as you need.

Example:
  REDIS_URL=redis://… SEALDEX_BUCKET=… SEALDEX_PLATFORM_KEY_ARN=arn:aws:kms:… sealdex worker`,
    )
    .action(() =>
      untilInterrupted(async (signal) => {
        const tell = (): void => {
          if (host().stderr.isTTY) printNotice('Stopping. Press Ctrl-C again to exit immediately.');
        };
        signal.addEventListener('abort', tell, { once: true });
        const { startWorker } = await import('../app/app.ts');
        const { createLog } = await import('../runtime/log.ts');
        const env = commandLineEnvironment(host().env);
        const logger = createLog(loadConfig(undefined, env), 'worker');
        const worker = await startWorker(undefined, { signal, env, logger }).catch((error: unknown) => {
          if (error === signal.reason) return undefined;
          throw error;
        });
        // Stopped during the start: everything that was opened is closed.
        if (!worker) return;
        await aborted(signal);
        const { isClean } = await worker.stop();
        // The client would wait for an unreachable Redis, and keep the process running.
        host().exit(isClean ? 0 : 1);
      }),
    );
}
