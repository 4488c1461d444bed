// Workers of a process: one worker per queue, each with its own slots, paused, resumed and stopped together.
import { QUEUE_NAMES, type QueueName } from '../../runtime/names.ts';
import type { Handle } from './processor.ts';
import { startWorker, type QueueWorker, type WorkerDeps } from './worker.ts';

export interface WorkersDeps extends Omit<WorkerDeps, 'queueName' | 'concurrency' | 'handle'> {
  /** This process takes no jobs of a queue without a handle. */
  readonly handles: Readonly<Partial<Record<QueueName, Handle>>>;
}

export function startWorkers({ handles, ...deps }: WorkersDeps): QueueWorker {
  const { concurrency, uploadConcurrency } = deps.config;
  const slots: Readonly<Record<QueueName, number>> = { index: concurrency, upload: uploadConcurrency };
  const workers = QUEUE_NAMES.flatMap((queueName) => {
    const handle = handles[queueName];
    return handle ? [startWorker({ ...deps, queueName, concurrency: slots[queueName], handle })] : [];
  });
  return {
    ready: async () => void (await Promise.all(workers.map((worker) => worker.ready()))),
    active: () => workers.reduce((sum, worker) => sum + worker.active(), 0),
    pause: () => workers.forEach((worker) => worker.pause()),
    resume: () => workers.forEach((worker) => worker.resume()),
    // Concurrently, because each may take up to SEALDEX_STOP_MS.
    async stop() {
      const ends = await Promise.all(workers.map((worker) => worker.stop()));
      return {
        handedBack: ends.reduce((sum, { handedBack }) => sum + handedBack, 0),
        isClean: ends.every(({ isClean }) => isClean),
      };
    },
  };
}
