// enqueueDelete: valid and invalid requests, and one job per idempotency key.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { objectName } from '../../src/runtime/names.ts';
import type { DeleteRequest, Producer } from '../../src/producer/producer.ts';
import { codeOf, documentOf, ended, openScene, refusalOf, type Scene } from './fixture.ts';

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
  producer = await scene.producer();
});
afterAll(() => scene[Symbol.asyncDispose]());

const GOOD: DeleteRequest = { tenant: 'acme', corpus: 'docs', id: 'doc' };

describe('a request to delete', () => {
  it('becomes a job without content, with a higher revision than earlier requests', async () => {
    const index = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf('doc') });
    const answer = await producer.enqueueDelete(GOOD);
    const { jobId, revision } = answer;
    expect(answer).toEqual({ status: 'queued', jobId, revision });
    expect(revision).toBeGreaterThan(index.revision);
    const { data, state } = await scene.operator.job(jobId);
    expect(state).toBe('queued');
    expect(data).toEqual({ v: 1, kind: 'delete', tenant: 'acme', corpus: 'docs', revision, object: objectName('doc') });
  });

  it('makes no KMS call and writes nothing to S3', async () => {
    const fresh = await scene.producer();
    scene.services.s3.requests.reset();
    const before = scene.services.kms.counts.all();
    await fresh.enqueueDelete({ ...GOOD, id: 'x'.repeat(500) });
    expect(scene.services.kms.counts.all()).toEqual(before);
    expect(scene.services.s3.requests.count({ method: 'PUT' })).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ['no request', undefined, 'request'],
    ['a list', [GOOD], 'request'],
    ['a path as a tenant', { ...GOOD, tenant: '../x' }, 'tenant'],
    ['no corpus', { ...GOOD, corpus: undefined }, 'corpus'],
    ['no id', { ...GOOD, id: undefined }, 'id'],
    ['an empty id', { ...GOOD, id: '' }, 'id'],
    ['a number as an id', { ...GOOD, id: 5 }, 'id'],
    ['an empty idempotency key', { ...GOOD, idempotencyKey: '' }, 'idempotencyKey'],
    ['an unknown field', { ...GOOD, document: documentOf('doc') }, 'document'],
    ['ifExists, which has no meaning here', { ...GOOD, ifExists: 'reject' }, 'ifExists'],
  ])('with %s is DOCUMENT_INVALID, and nothing is queued', async (_, request, field) => {
    const before = await scene.jobs();
    const refusal = await refusalOf(() => producer.enqueueDelete(request as DeleteRequest));
    expect([refusal.code, refusal.field]).toEqual(['DOCUMENT_INVALID', field]);
    expect(await scene.jobs()).toEqual(before);
  });

  it('with a getter that throws quotes none of its text', async () => {
    const request = Object.defineProperty({ ...GOOD }, 'id', {
      get: () => {
        throw new Error('with the secret word');
      },
      enumerable: true,
    });
    const refusal = await refusalOf(() => producer.enqueueDelete(request));
    expect(refusal.code).toBe('DOCUMENT_INVALID');
    expect(JSON.stringify([refusal, refusal.message, String(refusal.cause)])).not.toContain('secret word');
  });

  it('for an unknown tenant is TENANT_UNKNOWN', async () => {
    expect(await codeOf(() => producer.enqueueDelete({ ...GOOD, tenant: 'nobody' }))).toBe('TENANT_UNKNOWN');
  });
});

describe('the same idempotency key', () => {
  it('used twice is one deletion, and used for an index request is another job', async () => {
    const idempotencyKey = 'twice';
    const first = await producer.enqueueDelete({ ...GOOD, idempotencyKey });
    const { jobId, revision } = first;
    const second = await producer.enqueueDelete({ ...GOOD, idempotencyKey });
    expect(second).toEqual({ status: 'duplicate', jobId, revision, state: 'queued' });
    const request = { tenant: 'acme', corpus: 'docs', document: documentOf('doc'), idempotencyKey };
    expect(await producer.enqueueIndex(request)).toMatchObject({ status: 'queued' });
  });

  it('sent 100 times at once is one job: one result is queued, the others are duplicates', async () => {
    const others = [producer, await scene.producer(), await scene.producer()];
    const request = { ...GOOD, id: 'crowd', idempotencyKey: 'crowd' };
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => others[index % 3]!.enqueueDelete(request)),
    );
    expect(answers.filter(({ status }) => status === 'queued')).toHaveLength(1);
    expect(new Set(answers.map(({ jobId, revision }) => `${jobId} ${revision}`)).size).toBe(1);
  });

  it('used after the end of the job returns the outcome', async () => {
    const request = { ...GOOD, id: 'ended', idempotencyKey: 'ended' };
    const { jobId } = await producer.enqueueDelete(request);
    const stop = await scene.work();
    await ended(producer, jobId);
    await stop();
    expect(await producer.enqueueDelete(request)).toMatchObject({ status: 'duplicate', jobId, state: 'done' });
  });

  it('without its marker finds its waiting job and its revision', async () => {
    const request = { ...GOOD, id: 'forgotten', idempotencyKey: 'forgotten' };
    const { jobId, revision } = await producer.enqueueDelete(request);
    await scene.redis.del(`sealdex:{${scene.config.queue}}:markers:${jobId}`);
    expect(await producer.enqueueDelete(request)).toMatchObject({ status: 'duplicate', jobId, revision });
  });
});
