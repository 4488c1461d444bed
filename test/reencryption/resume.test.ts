// A re-encryption without its jobs is found and resumed; one that is active, finished or unnecessary is not changed.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { redisKeys } from '../../src/runtime/redis.ts';
import { readReencrypted, writeReencrypted } from '../../src/store/reencrypted.ts';
import { openReencryptionFixture, type ReencryptionFixture } from './fixture.ts';
import { changeTenantFile } from '../support/change-tenant-file.ts';

const opened = new AsyncDisposableStack();
let fixture: ReencryptionFixture;
let tenant: string;
let count = 0;

beforeAll(async () => {
  fixture = opened.use(await openReencryptionFixture());
});
afterAll(() => opened.disposeAsync());
beforeEach(() => {
  tenant = `tenant-${(count += 1)}`;
});

const recordKey = (): string => redisKeys(fixture.deps.queueName).reencryption(tenant);

async function only(): Promise<string> {
  const waiting = await fixture.waiting(tenant);
  expect(waiting).toHaveLength(1);
  return waiting[0]!;
}

/** As by an operator who discards it, or by a Redis that has lost it. */
async function lose(jobId: string): Promise<void> {
  await (await fixture.runner.installation.queue.getJob(jobId))!.remove();
}

async function endsWell(current: string): Promise<void> {
  await fixture.runAll(tenant);
  expect(await fixture.under(tenant)).toEqual({ [current]: 1 });
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ state: 'done' });
}

test('a re-encryption starts again after Redis has lost everything', async () => {
  const { current } = await fixture.changed(tenant, 1);
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  await lose(await only());
  await fixture.deps.redis.del(recordKey());
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ state: 'not begun' });
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  await endsWell(current);
});

test.each(['{no json', '{"v":2}'])('a re-encryption starts again after an unreadable record (%s)', async (text) => {
  const { current } = await fixture.changed(tenant, 1);
  await fixture.deps.redis.set(recordKey(), text);
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  await endsWell(current);
});

test('a re-encryption starts again after its page was discarded', async () => {
  const { current } = await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  await fixture.run(await only());
  await lose(await only());
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  expect((await fixture.healthy.progress(tenant)).counts).toMatchObject({ moved: 0 });
  await endsWell(current);
});

test('a page continues if its job was never added', async () => {
  const { current } = await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  await fixture.run(await only());
  const jobId = await only();
  await lose(jobId);
  await fixture.deps.redis.del(redisKeys(fixture.deps.queueName).marker(jobId));
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  expect(await only()).toBe(jobId);
  expect((await fixture.healthy.progress(tenant)).counts).toMatchObject({ moved: 1 });
  await endsWell(current);
});

test('an active or finished re-encryption is not changed', async () => {
  const { current } = await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  const jobId = await only();
  expect(await fixture.healthy.restartStalled(tenant)).toBe(false);
  expect(await only()).toBe(jobId);
  await endsWell(current);
  expect(await fixture.healthy.restartStalled(tenant)).toBe(false);
  expect(await fixture.waiting(tenant)).toEqual([]);
});

test('a page in the dead letters waits for an operator', async () => {
  await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  const job = await fixture.runner.installation.queue.getJob(await only());
  await job!.remove();
  await fixture.runner.installation.queue.add('reencrypt', job!.data, { jobId: job!.id!, attempts: 1 });
  await fixture.deps.redis.zadd(fixture.runner.installation.queue.toKey('failed'), Date.now(), job!.id!);
  await fixture.deps.redis.lrem(fixture.runner.installation.queue.toKey('wait'), 0, job!.id!);
  expect(await fixture.healthy.restartStalled(tenant)).toBe(false);
});

test('another key change starts the next re-encryption, and ends the pages of the first one', async () => {
  await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  const old = await only();
  const { installation, deps } = fixture.runner;
  const file = await installation.operator.tenant(tenant);
  const next = installation.services.kms.createKey();
  const entry = {
    change: 'key',
    id: 'fedcba9876543210',
    at: 1,
    operator: 'o',
    from: file.kmsKeyArn!,
    to: next,
  } as const;
  await changeTenantFile(installation.operator, tenant, { key: { entry, platformArns: new Set() } });
  await deps.tenants.fresh(tenant);
  expect(await fixture.run(old)).toEqual({ kind: 'done', superseded: true });
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  await endsWell(next);
});

test('a tenant without a key change has nothing to re-encrypt, nor has a deleted one', async () => {
  await fixture.runner.installation.tenant(tenant);
  expect(await fixture.healthy.restartStalled(tenant)).toBe(false);
  await expect(fixture.healthy.begin(tenant)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  tenant = `${tenant}-gone`;
  await fixture.changed(tenant, 1);
  const key = `tenants/${tenant}.json`;
  const file = await fixture.runner.installation.operator.tenant(tenant);
  await fixture.deps.store.put(key, Buffer.from(JSON.stringify({ ...file, deleted: { at: 1 } })), {});
  expect(await fixture.healthy.restartStalled(tenant)).toBe(false);
  expect(await fixture.waiting(tenant)).toEqual([]);
});

test('a pass started again after the end is not finished before it has read everything, and is resumed after a loss', async () => {
  const { current } = await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  await endsWell(current);
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ left: 0, queued: 0 });
  await fixture.healthy.begin(tenant);
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ state: 'moving', counts: { moved: 0 } });
  await lose(await only());
  expect(await fixture.healthy.restartStalled(tenant)).toBe(true);
  await endsWell(current);
});

test('unreadable objects are reported from the end mark, regardless of the state of Redis', async () => {
  const { current } = await fixture.changed(tenant, 1);
  await fixture.healthy.restartStalled(tenant);
  await endsWell(current);
  const { change } = (await readReencrypted(fixture.deps.store, fixture.deps.queueName, tenant))!;
  await writeReencrypted(fixture.deps.store, fixture.deps.queueName, tenant, { change, at: 1, left: 5 });
  await fixture.deps.redis.del(recordKey());
  expect(await fixture.healthy.progress(tenant)).toMatchObject({ state: 'done', left: 5 });
});

test('a deleted tenant has nothing to re-encrypt', async () => {
  await fixture.changed(tenant, 0);
  await fixture.runner.deps.tenants.put(tenant, { deleted: { at: 1 } });
  expect(await fixture.healthy.progress(tenant)).toEqual({ state: 'none' });
});
