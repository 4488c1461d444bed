// The workers of a process, one for each queue, as one: each has slots of its own, and all of them pause, go on and end together.
import { QUEUE_NAMES, type QueueName } from '../../runtime/names.ts';
import type { Handle } from './processor.ts';
import { startWorker, type QueueWorker, type WorkerDeps } from './worker.ts';

export interface WorkersDeps extends Omit<WorkerDeps, 'queueName' | 'concurrency' | 'handle'> {
  readonly handles: Readonly<Record<QueueName, Handle>>;
}

export function startWorkers({ handles, ...deps }: WorkersDeps): QueueWorker {
  const { concurrency, uploadConcurrency } = deps.config;
  const slots: Readonly<Record<QueueName, number>> = { index: concurrency, upload: uploadConcurrency };
  const workers = QUEUE_NAMES.map((queueName) =>
    startWorker({ ...deps, queueName, concurrency: slots[queueName], handle: handles[queueName] }),
  );
  return {
    ready: async () => void (await Promise.all(workers.map((worker) => worker.ready()))),
    active: () => workers.reduce((sum, worker) => sum + worker.active(), 0),
    pause: () => workers.forEach((worker) => worker.pause()),
    resume: () => workers.forEach((worker) => worker.resume()),
    // Side by side, within the same time.
    async stop() {
      const ends = await Promise.all(workers.map((worker) => worker.stop()));
      return {
        handedBack: ends.reduce((sum, { handedBack }) => sum + handedBack, 0),
        isClean: ends.every(({ isClean }) => isClean),
      };
    },
  };
}
