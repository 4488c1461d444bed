// Bench of intake: the cost per job of a pending removal, and the time of a recovery after FLUSHALL.
// Run: node bench/intake.ts [OBJECTS]. Services and bench share the machine; only ratios of one run are meaningful.
import { createOperator } from '../src/app/app.ts';
import { systemClock } from '../src/runtime/clock.ts';
import { loadConfig } from '../src/runtime/config.ts';
import { startServices } from '../src/cli/dev/local-services.ts';
import { newJobId } from '../src/jobs/jobs.ts';
import { deleteRemovals } from '../src/queue/bull/intake-removals.ts';
import { queueKey } from '../src/queue/bull/queue-keys.ts';
import { writeStatusNote } from '../src/queue/bull/status-notes.ts';
import { intakeName, type IntakePlace } from '../src/runtime/intake-key.ts';
import { closeRedis, infoField, openRedis, queueKeys, redisKeys } from '../src/runtime/redis.ts';
import { putIntake } from '../src/store/intake.ts';
import { createStore } from '../src/store/s3/s3-store.ts';

const [objects = 5000] = process.argv.slice(2).map(Number);
const JOBS = 4000;
const BATCH = 32;
const ROUNDS = 8;

const services = await startServices();
const settings = { ...services.settings, SEALDEX_QUEUE: 'bench-intake' };
const config = loadConfig(settings, {});
const redis = await openRedis(config, 'patient');
const keys = queueKeys(redisKeys(config.queue), 'index');
const store = createStore(config, 'patient');

const placeOf = (revision: number): IntakePlace => ({
  tenant: 'acme',
  jobId: newJobId(),
  queue: config.queue,
  kind: 'index',
  revision,
  object: 'a'.repeat(64),
  corpus: 'docs',
  intake: '0123456789abcdef',
});

/** Microseconds of CPU of Redis. */
async function redisCpu(): Promise<number> {
  const info = await redis.info('cpu');
  const seconds = ['used_cpu_user', 'used_cpu_sys'].map((name) => Number(infoField(info, name)));
  return seconds.reduce((sum, each) => sum + each, 0) * 1e6;
}

/** Writes the final record of each job, and removes its pending removal as a worker does. Returns microseconds per job. */
async function round(hasContent: boolean): Promise<{ redis: number; client: number }> {
  await redis.flushall();
  const places = Array.from({ length: JOBS }, (_, at) => placeOf(at + 1));
  for (const { jobId } of places) await redis.hset(queueKey(keys, jobId), 'data', '{"tenant":"acme"}', 'priority', 1);
  const [redisBefore, clientBefore] = [await redisCpu(), process.cpuUsage()];
  for (let from = 0; from < JOBS; from += BATCH)
    await Promise.all(
      places.slice(from, from + BATCH).map(async (place) => {
        const content = hasContent ? place : undefined;
        await writeStatusNote(redis, keys, systemClock, place.jobId, 60_000, { state: 'done' }, undefined, content);
        if (content) await deleteRemovals(redis, keys, [intakeName(content)]);
      }),
    );
  const { user, system } = process.cpuUsage(clientBefore);
  return { redis: ((await redisCpu()) - redisBefore) / JOBS, client: (user + system) / JOBS };
}

const best = new Map<string, { redis: number; client: number }>();
for (let number = 0; number < ROUNDS; number++)
  for (const [name, hasContent] of [
    ['without content in S3', false],
    ['with content in S3', true],
  ] as const) {
    const now = await round(hasContent);
    const before = best.get(name) ?? now;
    best.set(name, { redis: Math.min(before.redis, now.redis), client: Math.min(before.client, now.client) });
  }
for (const [name, { redis: redisUs, client }] of best)
  console.log(`final record of a job ${name}: Redis ${redisUs.toFixed(1)} us, client ${client.toFixed(1)} us`);

await redis.flushall();
const operator = await createOperator(settings);
const now = systemClock.now() * 1000;
for (let from = 0; from < objects; from += BATCH)
  await Promise.all(
    Array.from({ length: Math.min(BATCH, objects - from) }, (_, at) =>
      putIntake(store, placeOf(now + from + at), Buffer.from('message')),
    ),
  );
for (const name of ['recovery', 'second recovery']) {
  const begun = systemClock.monotonic();
  const { seen, added } = await operator.recover();
  const seconds = (systemClock.monotonic() - begun) / 1000;
  console.log(`${name} of ${seen} objects: ${seconds.toFixed(1)} s, ${added} jobs added`);
}

await operator[Symbol.asyncDispose]();
store.close();
closeRedis(redis);
await services.stop();
