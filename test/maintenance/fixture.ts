// The scene of sweep tests: real services, a fake clock for days, and jobs and objects as the producer leaves them.
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { openQueue, type JobQueue } from '../../src/queue/bull/queues.ts';
import { openRedis, redisKeys } from '../../src/runtime/redis.ts';
import { deleteDocument, writeDocument } from '../../src/store/documents.ts';
import { putIntake } from '../../src/store/intake.ts';
import { intakeName } from '../../src/runtime/intake-key.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { ensureRedisIdentity } from '../../src/maintenance/redis-identity.ts';
import type { SweepDeps } from '../../src/maintenance/sweep.ts';
import type { MaintenanceTask } from '../../src/maintenance/scheduler.ts';
import { FakeClock } from '../support/clock.ts';
import { newIntakePlace } from '../support/intake.ts';
import { testServices, type TestServices } from '../support/services.ts';

const DAY = 86_400_000;

export interface MaintenanceFixture extends AsyncDisposable {
  readonly services: TestServices;
  readonly deps: SweepDeps & { readonly clock: FakeClock };
  readonly redis: Redis;
  readonly queue: JobQueue;
  readonly log: { level: string; facts: Record<string, unknown>; message: string }[];
  /** Marks Redis and bucket as first used the given number of days ago. */
  born(daysAgo: number): Promise<void>;
  /** Content in intake, and the job that names it unless there is none. Returns its name. */
  content(options?: {
    job?: 'none' | 'other content' | 'without content' | 'unreadable';
    id?: string;
    /** Of an installation; this one by default. */
    queue?: string;
  }): Promise<string>;
  /** Content now in intake, by name. */
  intake(): Promise<string[]>;
  document(revision: number, object?: string): Promise<string>;
  tombstone(revision: number, object?: string): Promise<string>;
  /** The keys of all documents and tombstones. */
  documents(): Promise<string[]>;
  /** Advances the clock and runs the task. */
  sweepAfter(days: number, task: MaintenanceTask): Promise<void>;
  counted(name: 'sealdex_swept_objects_total' | 'sealdex_sweep_alarms_total'): Promise<number>;
}

export const newObject = (): string => randomBytes(32).toString('hex');

export async function openMaintenanceFixture(): Promise<MaintenanceFixture> {
  await using opened = new AsyncDisposableStack();
  const services = opened.use(await testServices());
  const config = loadConfig(services.settings, {});
  const store = opened.adopt(createStore(config, 'patient'), (store) => store.close());
  const redis = opened.adopt(await openRedis(config, 'patient'), (redis) => redis.disconnect());
  const queue = opened.adopt(openQueue(config, redis, systemClock), (queue) => queue.close());
  const keys = redisKeys(config.queue);
  const metrics = createMetrics();
  const lines: MaintenanceFixture['log'] = [];
  const at =
    (level: string) =>
    (facts: object, message: string): void =>
      void lines.push({ level, facts: { ...facts }, message });
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  // Objects get the emulator's time, which is the real one.
  const clock = new FakeClock(Date.now());
  const place = (revision: number, object = newObject()) => ({
    tenant: 'acme',
    corpus: 'docs',
    object,
    revision,
    jobId: newJobId(),
  });
  const all = opened.move();
  return {
    services,
    deps: { config, clock, log, metrics, redis, keys, store },
    redis,
    queue,
    log: lines,
    async born(daysAgo) {
      const before = new FakeClock(Date.now() - daysAgo * DAY);
      await ensureRedisIdentity({ redis, keys, store, queue: config.queue, clock: before });
    },
    async content({ job, id = newJobId(), queue: queueName = config.queue } = {}) {
      const intake = randomBytes(8).toString('hex');
      const data = { v: 1, tenant: 'acme', corpus: 'docs', revision: 1795461684317284, object: newObject() } as const;
      const place = newIntakePlace(queueName, { ...data, jobId: id, intake });
      await putIntake(store, place, Buffer.from('message'));
      if (job === 'other content') {
        await queue.add(id, { ...data, kind: 'index', content: { intake: '0123456789abcdef' } }, 1);
      } else if (job === 'without content') await queue.add(id, { ...data, kind: 'delete' }, 1);
      else if (job === undefined || job === 'unreadable')
        await queue.add(id, { ...data, kind: 'index', content: { intake } }, 1);
      if (job === 'unreadable') await redis.hset(`${keys.prefix}:index:${id}`, 'data', '{no json');
      return intakeName(place);
    },
    intake: async () => (await store.list('intake/')).objects.map(({ key }) => key.slice('intake/'.length)),
    async document(revision, object) {
      const write = { ...place(revision, object), ifExists: 'replace', message: randomBytes(500) } as const;
      await writeDocument(store, systemClock, write);
      return `documents/acme/docs/${write.object}`;
    },
    async tombstone(revision, object) {
      const deletion = place(revision, object);
      await deleteDocument(store, systemClock, deletion);
      return `documents/acme/docs/${deletion.object}`;
    },
    documents: async () => (await store.list('documents/')).objects.map(({ key }) => key),
    async sweepAfter(days, task) {
      clock.advance(days * DAY);
      await task.run(new AbortController().signal);
    },
    async counted(name) {
      const sums = await metrics.by(name, 'what');
      return Object.values(sums).reduce((sum, count) => sum + count, 0);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
