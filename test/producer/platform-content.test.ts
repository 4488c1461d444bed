// Content that waits under the platform key is shown to the operator, with its size, until its jobs end.
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { headerOf } from '../support/message.ts';
import { documentOf, ended, objectAt, openScene, type Scene } from './fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 });
});
afterAll(() => scene[Symbol.asyncDispose]());

const NONE = { jobs: 0, bytes: 0 };

const request = (tenant: string, id = 'doc') => ({ tenant, corpus: 'docs', document: documentOf(id) });

/** The message that a job names. */
async function messageOf(jobId: string): Promise<Buffer> {
  const { data } = await scene.operator.job(jobId);
  if (!data || !('content' in data) || !data.content) throw new Error('The job has no content.');
  const { tenant, content } = data;
  if ('inline' in content) return Buffer.from(content.inline, 'base64');
  const [key = ''] = await scene.keysOf(`intake/${tenant}/${jobId}/`);
  return (await objectAt(scene.store, key)).bytes;
}

const bytesOf = async (jobId: string): Promise<number> => (await messageOf(jobId)).length;

test('content that arrives while the key is disabled is counted until its jobs are done', async () => {
  const arn = await scene.tenant('acme');
  const [inline, inS3] = [await scene.producer(), await scene.producer({ SEALDEX_INLINE_BYTES: 0 })];
  await inline.enqueueIndex(request('acme', 'before'));
  expect(await scene.operator.platformKeyContent('acme')).toEqual(NONE);
  scene.services.kms.disable(arn);
  const jobs = [
    await inS3.enqueueIndex(request('acme', 'a')),
    await inline.enqueueIndex(request('acme', 'b')),
    await inline.enqueueIndex({ ...request('acme', 'c'), idempotencyKey: 'once' }),
  ].map(({ jobId }) => jobId);
  await inline.enqueueIndex({ ...request('acme', 'c'), idempotencyKey: 'once' });
  await inline.enqueueDelete({ tenant: 'acme', corpus: 'docs', id: 'd' });
  const sizes = await Promise.all(jobs.map(bytesOf));
  const counted = { jobs: 3, bytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
  expect(await scene.operator.platformKeyContent('acme')).toEqual(counted);
  expect((await scene.operator.status()).platformKeyContent).toEqual(counted);
  const stop = await scene.work();
  await ended(inline, jobs[0]!, 'parked');
  expect(await scene.operator.platformKeyContent('acme')).toEqual(counted);
  scene.services.kms.enable(arn);
  for (const jobId of jobs) expect(await ended(inline, jobId)).toMatchObject({ state: 'done' });
  expect(await scene.operator.platformKeyContent('acme')).toEqual(NONE);
  expect(await scene.redis.keys(`sealdex:{${scene.config.queue}}:backlog:platform-*`)).toEqual([]);
  await stop();
});

test('a file is counted with its size, whether its length is known or not', async () => {
  const arn = await scene.tenant('files');
  scene.services.kms.disable(arn);
  const producer = await scene.producer();
  const file = { tenant: 'files', corpus: 'docs', filename: 'a.txt' };
  const body = Buffer.alloc(20_000, 'text ');
  const jobs = [
    await producer.enqueueUpload({ ...file, body }),
    await producer.enqueueUpload({ ...file, filename: 'b.txt', body: Readable.from([body]) }),
  ];
  const [first = 0, second = 0] = await Promise.all(jobs.map(({ jobId }) => bytesOf(jobId)));
  expect(first).toBeGreaterThan(body.length);
  expect(await scene.operator.platformKeyContent('files')).toEqual({ jobs: 2, bytes: first + second });
});

test('content of a paused tenant is counted only if the tenant has a key of its own', async () => {
  await scene.tenant('own');
  await scene.operator.putTenant('free', { plan: 'free' });
  for (const tenant of ['own', 'free']) await scene.operator.pauseTenant(tenant, 'maintenance');
  const producer = await scene.producer();
  for (const tenant of ['own', 'free']) {
    const { jobId } = await producer.enqueueIndex(request(tenant));
    expect((await headerOf(await messageOf(jobId))).context['purpose']).toBe('intake');
  }
  expect([await scene.operator.platformKeyContent('own'), await scene.operator.platformKeyContent('free')]).toEqual([
    { jobs: 1, bytes: expect.any(Number) as number },
    NONE,
  ]);
});
