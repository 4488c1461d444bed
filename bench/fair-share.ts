// Bench of fair share: one tenant with many waiting jobs beside 20 small tenants. Compares the wait of the small tenants' jobs with
// fair share and with equal priorities, in alternating rounds, and measures the cost of a reservation.
// Run: node bench/fair-share.ts [ROUNDS] [JOBS]. Redis and worker share the machine; only the ratio is meaningful.
import { randomBytes } from 'node:crypto';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import { loadConfig } from '../src/runtime/config.ts';
import { startRedis } from '@sealdex/local-aws';
import { newJobId, type JobData } from '../src/jobs/jobs.ts';
import { silentLog } from '../src/runtime/log.ts';
import { createMetrics } from '../src/runtime/metrics.ts';
import { openQueue, type JobQueue } from '../src/queue/bull/queues.ts';
import { startWorker } from '../src/queue/bull/worker.ts';
import { openRedis } from '../src/runtime/redis.ts';

const [rounds = 5, jobs = 5000] = process.argv.slice(2).map(Number);
const SMALL = 20;
const JOBS_OF_SMALL = 10;
const TRICKLE_MS = 5;
const WORK_MS = 2;
const BULK = 16;

const server = await startRedis();
const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

const configOf = (queue: string) =>
  loadConfig(
    {
      REDIS_URL: server.url,
      SEALDEX_QUEUE: queue,
      SEALDEX_BUCKET: 'no-bucket',
      SEALDEX_PLATFORM_KEY_ARN: 'arn:aws:kms:us-west-2:111122223333:key/none',
    },
    {},
  );

const dataOf = (tenant: string): JobData => ({
  v: 1,
  kind: 'index',
  tenant,
  corpus: 'bench',
  revision: 1,
  object: 'a'.repeat(64),
  content: { inline: randomBytes(300).toString('base64') },
});

/** Adds jobs as the producer does, up to 16 at once. Without `isFair` all jobs have the same priority. */
async function add(queue: JobQueue, tenant: string, count: number, isFair: boolean): Promise<string[]> {
  const ids: string[] = [];
  for (let left = count; left > 0; left -= BULK) {
    const requests = Array.from({ length: Math.min(BULK, left) }, () => ({
      queue: 'index' as const,
      tenant,
      bytes: 2000,
    }));
    const added = (await queue.reserve(requests)).map(async (reservation) => {
      if (reservation instanceof Error) throw reservation;
      const id = newJobId();
      await queue.add(id, dataOf(tenant), isFair ? reservation.priority : 1);
      return id;
    });
    ids.push(...(await Promise.all(added)));
  }
  return ids;
}

interface Result {
  /** Median time from adding a job of a small tenant until it is taken, in milliseconds. */
  readonly waitMs: number;
  readonly bigMs: number;
}

async function round(isFair: boolean, number: number): Promise<Result> {
  const config = configOf(`${isFair ? 'fair' : 'fifo'}-${number}`);
  const redis = await openRedis(config, 'patient');
  const queueRedis = await openRedis(config, 'queue');
  const queue = openQueue(config, redis, systemClock);
  const taken = new Map<string, number>();
  const big = new Set(await add(queue, 'big', jobs, isFair));
  const begun = systemClock.monotonic();
  const bigDone = Promise.withResolvers<number>();
  const worker = startWorker({
    config,
    queueName: 'index',
    concurrency: config.concurrency,
    clock: systemClock,
    log: silentLog,
    metrics: createMetrics(),
    redis,
    queueRedis,
    async handle({ id }) {
      taken.set(id, systemClock.monotonic());
      await sleep(systemClock, WORK_MS);
      if (big.delete(id) && big.size === 0) bigDone.resolve(systemClock.monotonic() - begun);
      return { kind: 'done' };
    },
    onOutcome: () => {},
    parking: { isOpen: () => true, refresh: async () => {} },
    onCompleted: async () => {},
  });
  const added: { id: string; at: number }[] = [];
  for (let n = 0; n < JOBS_OF_SMALL; n++) {
    for (let tenant = 0; tenant < SMALL; tenant++) {
      const at = systemClock.monotonic();
      const [id = ''] = await add(queue, `small-${tenant}`, 1, isFair);
      added.push({ id, at });
    }
    await sleep(systemClock, TRICKLE_MS);
  }
  const bigMs = await bigDone.promise;
  while (taken.size < jobs + SMALL * JOBS_OF_SMALL) await sleep(systemClock, 20);
  await worker.stop();
  await queue.close();
  redis.disconnect();
  queueRedis.disconnect();
  return { waitMs: median(added.map(({ id, at }) => Math.max(0, (taken.get(id) ?? Number.NaN) - at))), bigMs };
}

/** Microseconds in Redis for each reservation: alone, and in a bulk of many tenants. */
async function reservationCost(): Promise<{ alone: number; inBulk: number }> {
  const config = configOf('cost');
  const redis = await openRedis(config, 'patient');
  const queue = openQueue(config, redis, systemClock);
  // Virtual time advances only while jobs wait.
  await add(queue, 'big', 100, true);
  const costOf = async (bulk: number): Promise<number> => {
    const requests = (n: number) =>
      Array.from({ length: bulk }, (_, at) => ({
        queue: 'index' as const,
        tenant: `tenant-${(n * bulk + at) % 1000}`,
        bytes: 2000,
      }));
    await redis.config('RESETSTAT');
    const calls = 3200 / bulk;
    for (let n = 0; n < calls; n++) await queue.reserve(requests(n));
    const stats = await redis.info('commandstats');
    return Number(/cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(stats)?.[1]) / (calls * bulk);
  };
  await costOf(1);
  const cost = { alone: await costOf(1), inBulk: await costOf(BULK) };
  await queue.close();
  redis.disconnect();
  return cost;
}

try {
  const fair: Result[] = [];
  const fifo: Result[] = [];
  for (let number = 0; number < rounds; number++) {
    // The order alternates, so that other load on the machine affects both variants.
    for (const isFair of number % 2 === 0 ? [true, false] : [false, true]) {
      (isFair ? fair : fifo).push(await round(isFair, number));
    }
    const [mine, other] = [fair.at(-1)!, fifo.at(-1)!];
    console.error(
      `round ${number + 1}/${rounds}: fair ${mine.waitMs.toFixed(0)} ms of ${mine.bigMs.toFixed(0)}, FIFO ${other.waitMs.toFixed(0)} ms of ${other.bigMs.toFixed(0)}`,
    );
  }
  const spread = (of: (result: Result) => number): string => {
    const ratios = sorted(fair.map((result, index) => of(result) / (fifo[index] ? of(fifo[index]) : Number.NaN)));
    return `median ${median(ratios).toFixed(3)}, from ${ratios[0]?.toFixed(3)} to ${ratios.at(-1)?.toFixed(3)}`;
  };
  const waits = (results: readonly Result[]): string => median(results.map(({ waitMs }) => waitMs)).toFixed(0);
  console.log(
    `wait of ${SMALL} small tenants beside ${jobs} jobs of one: fair ${waits(fair)} ms, FIFO ${waits(fifo)} ms`,
  );
  console.log(`ratio of the waits: ${spread(({ waitMs }) => waitMs)} (wanted: at most 0.1)`);
  console.log(`ratio of the big tenant's total: ${spread(({ bigMs }) => bigMs)} (wanted: about 1)`);
  const { alone, inBulk } = await reservationCost();
  console.log(`a reservation costs Redis ${alone.toFixed(0)} us alone, ${inBulk.toFixed(0)} us in a bulk of ${BULK}`);
} finally {
  await server.stop();
}
