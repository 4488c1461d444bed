// Recovery: a flushed Redis gets its jobs back from the names in intake, without KMS, and every document ends as accepted.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { redisKeys } from '../../src/runtime/redis.ts';
import { intakeName } from '../../src/runtime/intake-key.ts';
import { putIntake } from '../../src/store/intake.ts';
import { codeOf, documentOf, ended, openScene, type Scene } from '../producer/fixture.ts';
import { eventually } from '../support/eventually.ts';
import { newIntakePlace } from '../support/intake.ts';

const DAY_MS = 86_400_000;

let scene: Scene;

beforeEach(async () => {
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0, SEALDEX_PROBE_MIN_MS: 500, SEALDEX_PROBE_MAX_MS: 1000 });
  await scene.tenant('acme');
});
afterEach(() => scene[Symbol.asyncDispose]());

const flush = async (): Promise<void> => {
  const names = await scene.redis.keys(`sealdex:{${scene.config.queue}}*`);
  if (names.length > 0) await scene.redis.del(...names);
};
const birthInBucket = async (): Promise<string | undefined> =>
  (await scene.store.head(`system/${scene.config.queue}/birth`))?.etag;
const kmsCalls = (): number => scene.services.kms.counts.count();

describe('recovery after FLUSHALL', () => {
  it('brings back every document at its last revision, deletions and parked jobs included', async () => {
    const { operator, services } = scene;
    const closedArn = await scene.tenant('closed');
    const producer = await scene.producer();
    const index = (tenant: string, id: string, title: string) =>
      producer.enqueueIndex({ tenant, corpus: 'docs', document: { ...documentOf(id), title } });
    const parked = await index('closed', 'one', 'parked');
    services.kms.disable(closedArn);
    const stop = await scene.work();
    await ended(producer, parked.jobId, 'parked');
    await stop();
    const jobs = [
      await index('acme', 'a', 'first'),
      await index('acme', 'a', 'second'),
      await index('acme', 'b', 'deleted later'),
      await producer.enqueueDelete({ tenant: 'acme', corpus: 'docs', id: 'b' }),
      await producer.enqueueUpload({
        tenant: 'acme',
        corpus: 'docs',
        documentId: 'file',
        filename: 'notes.txt',
        body: Buffer.from('Notes of a file.'),
      }),
      parked,
    ];
    const before = await birthInBucket();
    await flush();
    expect(await scene.jobs()).toEqual([]);

    const called = kmsCalls();
    expect(await operator.recover({ isDry: true })).toMatchObject({ seen: 6, added: 6, isAccepted: false });
    expect(await scene.jobs()).toEqual([]);
    const recovered = await operator.recover();
    expect(recovered).toEqual({
      seen: 6,
      present: 0,
      added: 6,
      backlogFull: 0,
      tooOld: 0,
      unreadable: 0,
      tenants: [
        { tenant: 'acme', jobs: 5 },
        { tenant: 'closed', jobs: 1 },
      ],
      isAccepted: true,
    });
    expect(await operator.recover()).toMatchObject({ seen: 6, present: 6, added: 0, isAccepted: true });
    expect(kmsCalls()).toBe(called);
    expect(await birthInBucket()).not.toBe(before);

    services.kms.enable(closedArn);
    const stopAgain = await scene.work();
    for (const { jobId } of jobs) await ended(producer, jobId, 'done', 'superseded');
    const reader = await scene.reader();
    const titleOf = async (tenant: string, id: string): Promise<unknown> =>
      (await reader.metadata({ tenant, corpus: 'docs', id })).title;
    expect(await titleOf('acme', 'a')).toBe('second');
    expect(await titleOf('closed', 'one')).toBe('parked');
    expect(await codeOf(() => titleOf('acme', 'b'))).toBe('NOT_FOUND');
    expect((await reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'file' })).id).toBe('file');
    expect(await eventually(async () => (await scene.keysOf('intake/')).length === 0)).toBe(true);
    await stopAgain();
  });

  it('keeps the revisions of new documents above those of recovered ones', async () => {
    const producer = await scene.producer();
    const ahead = (Date.now() + 40_000) * 1000;
    await scene.redis.set(redisKeys(scene.config.queue).revision, ahead);
    const old = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf('a') });
    await flush();
    await scene.operator.recover();
    const next = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf('a') });
    expect(next.revision).toBeGreaterThan(old.revision);
  });
});

describe('recovery', () => {
  const put = async (choice: Parameters<typeof newIntakePlace>[1] = {}) => {
    const place = newIntakePlace(scene.config.queue, { revision: Date.now() * 1000, ...choice });
    await putIntake(scene.store, place, Buffer.from('message'));
    return place;
  };

  it('does not add objects older than a job can be, of other installations, or without the job in their names', async () => {
    const { parkedMaxMs, letterMaxMs } = scene.config;
    await put({ revision: (Date.now() - parkedMaxMs - letterMaxMs - DAY_MS) * 1000 });
    await put({ queue: 'other' });
    await put({ kind: 'compact' });
    await scene.store.put(`intake/acme/j${'0'.repeat(32)}/0123456789abcdef`, Buffer.from('x'), {});
    const own = await put();
    expect(await scene.operator.recover()).toMatchObject({ seen: 4, added: 1, tooOld: 1, unreadable: 2 });
    expect(await scene.jobs()).toEqual([own.jobId]);
  });

  it('adds one job for two objects of one attempt each, and none for a job that has ended', async () => {
    const first = await put();
    await put({ ...first, intake: '0123456789abcdef' });
    const done = await put();
    const keys = redisKeys(scene.config.queue);
    await scene.redis.set(keys.note(done.jobId), `done ${Date.now()} `);
    const pending = await put();
    await scene.redis.zadd(keys.intakeRemovals, 1, intakeName(pending));
    expect(await scene.operator.recover()).toMatchObject({ seen: 4, added: 1, present: 3 });
    expect(await scene.jobs()).toEqual([first.jobId]);
  });

  it('is limited to a tenant or an age, and leaves the Redis identity then', async () => {
    await scene.tenant('other');
    const [own, other] = [await put(), await put({ tenant: 'other' })];
    expect(await scene.operator.recover({ before: Date.now() - DAY_MS })).toMatchObject({ seen: 0, isAccepted: false });
    expect(await scene.operator.recover({ tenant: 'other' })).toMatchObject({ seen: 1, added: 1, isAccepted: false });
    expect(await scene.jobs()).toEqual([other.jobId]);
    expect(await birthInBucket()).toBeUndefined();
    expect(await scene.operator.recover()).toMatchObject({ added: 1, present: 1, isAccepted: true });
    expect(await scene.jobs()).toEqual([own.jobId, other.jobId].toSorted());
  });

  it('leaves the jobs of a full backlog to a later run', async () => {
    await using small = await openScene({ ...scene.settings, SEALDEX_TENANT_BACKLOG_JOBS: 2 });
    const { operator } = small;
    const places = [];
    for (let n = 0; n < 3; n++) {
      const place = newIntakePlace(small.config.queue, { revision: Date.now() * 1000 });
      await putIntake(small.store, place, Buffer.from('message'));
      places.push(place);
    }
    expect(await operator.recover()).toMatchObject({ added: 2, backlogFull: 1, isAccepted: false });
    expect(await operator.recover()).toMatchObject({ added: 0, present: 2, backlogFull: 1, isAccepted: false });
    const keys = redisKeys(small.config.queue);
    await small.redis.del(keys.backlogJobs, keys.backlogBytes);
    expect(await operator.recover()).toMatchObject({ added: 1, present: 2, backlogFull: 0, isAccepted: true });
  });

  it('is RECOVERY_RUNNING while another one runs', async () => {
    await put();
    const lease = redisKeys(scene.config.queue).lease('recover');
    await scene.redis.set(lease, 'another', 'PX', 60_000);
    expect(await codeOf(() => scene.operator.recover())).toBe('RECOVERY_RUNNING');
    expect(await scene.jobs()).toEqual([]);
    await scene.redis.del(lease);
    await Promise.all([scene.operator.recover(), scene.operator.recover().catch(() => {})]);
    expect(await scene.jobs()).toHaveLength(1);
    expect(await scene.redis.exists(lease)).toBe(0);
  });
});
