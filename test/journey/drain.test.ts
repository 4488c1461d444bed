// Releases with problems: the key fails again, the releasing process dies. Nothing is lost.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import type { Settings } from '../../src/runtime/config.ts';
import type { Gate, GateRecord } from '../../src/parking/gate-record.ts';
import { readGate, replaceGate } from '../../src/parking/gate-storage.ts';
import { queueKeys, redisKeys, type QueueKeys } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';
import { openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';
import { startWorkerChild, type WorkerChild } from './worker-child.ts';

/** Probes come soon, so that the test does not wait for them. */
const SOON: Settings = { SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 };

const keysOf = (installation: Installation): QueueKeys =>
  queueKeys(redisKeys(String(installation.settings.SEALDEX_QUEUE)), 'index');

const gateOf = (installation: Installation, arn: string): Promise<Gate> =>
  readGate(installation.redis, keysOf(installation), gateId(keyRef('acme', arn)));

const parkedAt = (installation: Installation, arn: string): Promise<number> =>
  installation.redis.zcard(keysOf(installation).parked(gateId(keyRef('acme', arn))));

const textFor = (index: number): string => `This is the text of document ${index}.`;

async function enqueue({ producer }: Installation, count: number): Promise<string[]> {
  const results = await producer.enqueueIndexBulk(
    Array.from({ length: count }, (_, index) => ({
      tenant: 'acme',
      corpus: 'docs',
      document: documentOf(`document ${index}`, textFor(index)),
    })),
  );
  return results.map((result) => ('jobId' in result ? result.jobId : ''));
}

/** All jobs parked at a disabled key, by a worker that has stopped. */
async function parkAll(installation: Installation, count: number): Promise<{ arn: string; jobs: string[] }> {
  const arn = await installation.tenant('acme');
  const jobs = await enqueue(installation, count);
  installation.services.kms.disable(arn);
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await eventually(async () => (await parkedAt(installation, arn)) === count);
  expect((await worker.stop()).isClean).toBe(true);
  return { arn, jobs };
}

/** Every document is stored with its text, no job is left or dead, no attempt was spent. */
async function expectAllStored(installation: Installation, arn: string, count: number): Promise<void> {
  await installation.empty();
  expect((await installation.operator.status()).index.dead).toBe(0);
  expect(await parkedAt(installation, arn)).toBe(0);
  const { objects } = await installation.store.list('documents/', { limit: 1000 });
  expect(objects).toHaveLength(count);
  for (let index = 0; index < count; index += 7)
    expect(await textOf(installation.reader, 'acme', 'docs', `document ${index}`)).toContain(squeezed(textFor(index)));
}

const stored = ({ services }: Installation): number =>
  services.s3.requests.count({ method: 'PUT', prefix: 'documents/' });

test('a key that fails again during the drain parks the rest again, and nothing is lost', async () => {
  await using installation = await openInstallation({ ...SOON, SEALDEX_CONCURRENCY: 4 });
  const { arn } = await parkAll(installation, 300);
  const { kms, s3 } = installation.services;
  // Slow enough that the key fails in the middle of the drain.
  const slow = s3.faults.set({ match: { method: 'PUT', prefix: 'documents/' }, fault: { kind: 'latency', ms: 10 } });
  kms.enable(arn);
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await eventually(() => stored(installation) >= 30);
  kms.disable(arn);
  await shutAgain(installation, arn);
  await eventually(async () => {
    const { waiting, active } = (await installation.operator.status()).index;
    return waiting + active === 0;
  });
  expect((await gateOf(installation, arn)).record?.state).toBe('shut');
  const before = stored(installation);
  expect(before).toBeLessThan(300);
  expect((await installation.operator.status()).index).toMatchObject({
    waiting: 0,
    dead: 0,
    delayed: await parkedAt(installation, arn),
  });
  slow.clear();
  kms.enable(arn);
  await expectAllStored(installation, arn, 300);
  expect(worker.port).toBeGreaterThan(0);
});

/** Like another process that has called KMS: the cached data keys here would work for the rest of their hour. */
async function shutAgain(installation: Installation, arn: string): Promise<void> {
  await eventually(async () => {
    const { epoch, record } = await gateOf(installation, arn);
    const shut: GateRecord = { ...record!, state: 'shut', code: 'KEY_DISABLED', goodProbes: 0, nextProbe: Date.now() };
    const replacement = { record: shut, isPublished: true };
    return (
      await replaceGate(installation.redis, keysOf(installation), gateId(keyRef('acme', arn)), epoch, replacement)
    ).isDone;
  });
}

/**
 * As if lease and locks of a dead process expired between two checks for stalled jobs; the second check is made by the next
 * process at its start.
 */
async function runOut({ redis, queue, ...installation }: Installation, arn: string): Promise<void> {
  const active = await queue.getActive(0, 100);
  const ids = active.map(({ id = '' }) => id);
  const locks = ids.map((id) => `${queue.toKey(id)}:lock`);
  const lease = redisKeys(String(installation.settings.SEALDEX_QUEUE)).lease(`gate:${gateId(keyRef('acme', arn))}`);
  await redis.del(lease, queue.toKey('stalled-check'), ...locks);
  if (ids.length > 0) await redis.sadd(queue.toKey('stalled'), ...ids);
}

test('workers killed at random times during a drain lose nothing: another one continues', async () => {
  await using installation = await openInstallation({ ...SOON, SEALDEX_CONCURRENCY: 8 });
  const { arn } = await parkAll(installation, 400);
  installation.services.kms.enable(arn);
  await using workers = new AsyncDisposableStack();
  const start = async (): Promise<WorkerChild> => workers.use(await startWorkerChild(installation.settings));
  for (let kills = 0; kills < 3; kills += 1) {
    const victim = await start();
    // Before the release, during it, or after it: when the given number has left the index.
    const until = Math.floor(Math.random() * (await parkedAt(installation, arn)));
    await eventually(async () => (await parkedAt(installation, arn)) <= until);
    victim.kill('SIGKILL');
    await victim.exited;
    await runOut(installation, arn);
  }
  const last = await start();
  await expectAllStored(installation, arn, 400);
  expect((await gateOf(installation, arn)).record?.state).toBe('open');
  last.kill('SIGTERM');
  expect(await last.exited).toEqual({ code: 0, signal: null });
});
