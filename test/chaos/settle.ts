// End of a chaos run: waits on healthy services until no job is left, as time would do it.
import { Queue } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UnfinishedJob } from '../../src/operator/operator.ts';
import { QUEUE_NAMES } from '../../src/runtime/names.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { repeated } from './repeated.ts';
import type { ChaosServices } from './services.ts';

const POLL_MS = 250;
const DEADLINE_MS = 180_000;
/** A dead letter that fails again on healthy services is a wrong result. */
const MAX_REPLAYS = 2;

/** A re-encryption has a second pass, which is due an hour later. */
const isAwaited = ({ kind, state }: UnfinishedJob): boolean => kind !== 'reencrypt' || state !== 'retrying';

async function unfinished({ operator }: ChaosServices): Promise<UnfinishedJob[]> {
  const found: UnfinishedJob[] = [];
  for await (const job of operator.jobs()) if (isAwaited(job)) found.push(job);
  return found;
}

/** Returns the jobs that are left at the deadline: none of a correct build. Delays of retries are skipped. */
export async function settle(services: ChaosServices): Promise<UnfinishedJob[]> {
  await using opened = new AsyncDisposableStack();
  const prefix = redisKeys(String(services.settings.SEALDEX_QUEUE)).prefix;
  const queues = new Map(
    QUEUE_NAMES.map((name) => {
      const queue = new Queue(name, { connection: services.redis, prefix });
      return [name, opened.adopt(queue, () => queue.close())];
    }),
  );
  const deadline = performance.now() + DEADLINE_MS;
  for (let replays = 0; ;) {
    const left = await repeated(() => unfinished(services));
    if (performance.now() > deadline) return left;
    if (left.length === 0) {
      const { letters } = await repeated(() => services.operator.deadList({}, { limit: 1 }));
      if (letters.length === 0 || replays === MAX_REPLAYS) return left;
      replays += 1;
      await repeated(() => services.operator.replay({}));
    }
    for (const { jobId, queue, state } of left) {
      if (state !== 'retrying') continue;
      const job = await queues.get(queue)?.getJob(jobId);
      // A job that has moved on is not delayed any more.
      await job?.promote().catch(() => {});
    }
    await sleep(POLL_MS);
  }
}
