// A worker in a child process, as the command line runs one, for tests that kill, freeze and stop real processes. Settings
// come from the environment; a job returned after a stall waits for the shortest time. Sends its parent its port when it
// takes jobs, and the result of stop().
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import { commandLineEnvironment, loadConfig } from '../../src/runtime/config.ts';
import { createLog } from '../../src/runtime/log.ts';
import './raised-deadlines.ts';

let starting: Promise<RunningWorker> | undefined;

async function stop(): Promise<void> {
  const worker = await starting;
  const ended = await worker?.stop();
  if (process.connected) process.send?.({ ended });
  // A clean process has no open handle and exits without a signal, which is part of the test.
  if (ended?.isClean === false) process.exit(1);
  process.exitCode = 0;
  if (process.connected) process.disconnect();
}

// A failed test leaves no worker behind.
process.on('disconnect', () => {
  if (process.exitCode === undefined) process.exit(3);
});
process.on('SIGTERM', () => void stop().catch(() => process.exit(1)));
if (process.connected) process.send?.({ starting: true });
try {
  const env = commandLineEnvironment(process.env);
  const logger = createLog(loadConfig(undefined, env), 'worker');
  starting = startWorker(undefined, { host: '127.0.0.1', env, logger, afterStall: () => 0 });
  const { port } = await starting;
  process.send?.({ port });
} catch (error) {
  process.exitCode = 78;
  process.stderr.write(`${(error as Error).message}\n`);
  process.disconnect();
}
