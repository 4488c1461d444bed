// Ctrl-C and SIGTERM as an abort signal, so that a command stops what it started.
import { exitCodeOf, Interrupted } from './failure.ts';
import { host } from './host.ts';

/** Runs `work` with a signal that the first Ctrl-C aborts; a second one ends the process at once. */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const current = host();
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    const interrupted = new Interrupted(signal === 'SIGTERM' ? 'SIGTERM' : 'SIGINT');
    if (controller.signal.aborted) current.exit(exitCodeOf(interrupted));
    controller.abort(interrupted);
  };
  current.on('SIGINT', onSignal);
  current.on('SIGTERM', onSignal);
  try {
    return await work(controller.signal);
  } finally {
    current.off('SIGINT', onSignal);
    current.off('SIGTERM', onSignal);
  }
}

/** Resolves when the signal is aborted. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
