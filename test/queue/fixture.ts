// The queue with a handler of the test: effects of outcomes, without keys and stores.
import { randomBytes } from 'node:crypto';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig, type Config, type Settings } from '../../src/runtime/config.ts';
import { newJobId, type IndexJobData } from '../../src/jobs/jobs.ts';
import type { Log } from '../../src/runtime/log.ts';
import { createMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { openQueue, type JobQueue } from '../../src/queue/bull/queues.ts';
import type { Handle } from '../../src/queue/bull/processor.ts';
import { startWorker, type QueueWorker, type WorkerDeps } from '../../src/queue/bull/worker.ts';
import { startWorkers, type WorkersDeps } from '../../src/queue/bull/workers.ts';
import { openRedis, queueKeys, redisKeys, type QueueKeys } from '../../src/runtime/redis.ts';

interface LogLine {
  readonly level: string;
  readonly facts: object;
  readonly message: string;
}

export interface Fixture extends AsyncDisposable {
  readonly config: Config;
  /** The jobs of the queue `index`. */
  readonly keys: QueueKeys;
  readonly metrics: Metrics;
  readonly redis: Redis;
  /** BullMQ itself, for jobs added without the producer. */
  readonly bull: Queue;
  readonly queue: JobQueue;
  readonly log: LogLine[];
  /** A worker whose jobs are run by the handler; stopped with the fixture. */
  worker(handle: Handle, deps?: Partial<WorkerDeps>): Promise<QueueWorker>;
  /** Workers of both queues as one; stopped with the fixture. */
  both(handles: WorkersDeps['handles']): Promise<QueueWorker>;
  /** Adds a job as the producer does; returns its id. */
  add(data?: Partial<IndexJobData>): Promise<string>;
}

export const dataOf = (change: Partial<IndexJobData> = {}): IndexJobData => ({
  v: 1,
  kind: 'index',
  tenant: 'acme',
  corpus: 'docs',
  revision: 1,
  object: 'a'.repeat(64),
  content: { inline: Buffer.from('message').toString('base64') },
  ...change,
});

/** A connection as the composition root makes it, closed with the fixture. */
export async function openFixture(settings: Settings = {}): Promise<Fixture> {
  await using opened = new AsyncDisposableStack();
  const config = loadConfig(
    {
      REDIS_URL: inject('redisUrl'),
      SEALDEX_QUEUE: `t-${randomBytes(6).toString('hex')}`,
      SEALDEX_BUCKET: 'no-bucket',
      SEALDEX_PLATFORM_KEY_ARN: 'arn:aws:kms:us-west-2:111122223333:key/none',
      ...settings,
    },
    {},
  );
  const keys = queueKeys(redisKeys(config.queue), 'index');
  const redis = opened.adopt(new Redis(config.redisUrl), (redis) => redis.disconnect());
  opened.defer(() => removeKeys(redis, keys.prefix));
  const bull = opened.adopt(new Queue('index', { connection: redis, prefix: keys.prefix }), (queue) => queue.close());
  const queue = opened.adopt(openQueue(config, redis, systemClock), (queue) => queue.close());
  const metrics = createMetrics();
  const lines: LogLine[] = [];
  const all = opened.move();
  const depsOf = async (): Promise<Omit<WorkersDeps, 'handles'>> => ({
    config,
    clock: systemClock,
    log: logInto(lines),
    metrics: createMetrics(),
    redis: all.adopt(await openRedis(config, 'patient'), (patient) => patient.disconnect()),
    queueRedis: all.adopt(await openRedis(config, 'queue'), (blocking) => blocking.disconnect()),
    onCompleted: async () => {},
    onOutcome: () => {},
    afterStall: () => 0,
    parking: { isOpen: (text) => text === '', refresh: async () => {} },
  });
  const running = async (worker: QueueWorker): Promise<QueueWorker> => {
    all.adopt(worker, async (started) => void (await started.stop()));
    await worker.ready();
    return worker;
  };
  return {
    config,
    keys,
    metrics,
    redis,
    bull,
    queue,
    log: lines,
    async worker(handle, deps) {
      const { concurrency } = config;
      return running(startWorker({ ...(await depsOf()), queueName: 'index', concurrency, handle, ...deps }));
    },
    both: async (handles) => running(startWorkers({ ...(await depsOf()), handles })),
    async add(data) {
      const id = newJobId();
      const full = dataOf(data);
      const [reservation] = await queue.reserve([{ queue: 'index', tenant: full.tenant, bytes: 2000 }]);
      if (reservation === undefined || reservation instanceof Error)
        throw reservation ?? new Error('there is no stamp');
      await queue.add(id, full, reservation.priority);
      return id;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function logInto(lines: LogLine[]): Log {
  const at =
    (level: string) =>
    (facts: object, message: string): void =>
      void lines.push({ level, facts, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

async function removeKeys(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1000 }) as AsyncIterable<string[]>) {
    if (keys.length > 0) await redis.unlink(...keys);
  }
}
