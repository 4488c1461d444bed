// Many requests in one call: order, errors at their positions, revisions, and limits of memory, concurrency and time.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { IntakeDeps } from '../../src/intake/intake.ts';
import type { IndexJobData } from '../../src/jobs/jobs.ts';
import {
  createProducerFrom,
  type IndexRequest,
  type Producer,
  type ProducerDeps,
} from '../../src/producer/producer.ts';
import { openQueue } from '../../src/queue/bull/queues.ts';
import { createTenantChanges } from '../../src/tenants/changes.ts';
import { createTenants } from '../../src/tenants/tenants.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { documentOf, ended, openScene, resultOf, type Scene } from './fixture.ts';

let scene: Scene;
let producer: Producer;
let keyArn: string;

beforeAll(async () => {
  scene = await openScene();
  keyArn = await scene.tenant('acme');
  await scene.tenant('other');
  producer = await scene.producer();
});
beforeEach(() => {
  scene.services.kms.faults.clear();
  scene.services.s3.faults.clear();
});
afterAll(() => scene[Symbol.asyncDispose]());

const request = (id: string, more: Partial<IndexRequest> = {}): IndexRequest => ({
  tenant: 'acme',
  corpus: 'docs',
  document: documentOf(id),
  ...more,
});

/** A tenant with its content rejected while its KMS key is unusable. */
async function refusingTenant(tenant: string): Promise<string> {
  const arn = await scene.tenant(tenant);
  await scene.operator.putTenant(tenant, { whenKeyShut: 'refuse' });
  return arn;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

it('an empty list of requests has no results', async () => {
  expect(await producer.enqueueIndexBulk([])).toEqual([]);
});

it('1,000 requests become 1,000 jobs, in order, with rising revisions and one data key', async () => {
  scene.services.kms.counts.reset();
  const results = await producer.enqueueIndexBulk(range(1000).map((n) => request(`order-${n}`)));
  const jobs = results.map(resultOf);
  expect(jobs.every(({ status }) => status === 'queued')).toBe(true);
  const revisions = jobs.map(({ revision }) => revision);
  expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  expect(new Set(revisions).size).toBe(1000);
  expect(scene.services.kms.counts.count({ operation: 'GenerateDataKey', tenant: 'acme' })).toBeLessThanOrEqual(1);
  const { data } = await scene.operator.job(jobs[617]!.jobId);
  const { data: single } = await scene.operator.job((await producer.enqueueIndex(request('order-617'))).jobId);
  expect(data).toMatchObject({ object: (single as IndexJobData).object });
});

it('an invalid request gets its error at its position and does not affect the others', async () => {
  const results = await producer.enqueueIndexBulk([
    request('good-0'),
    { ...request('bad-1'), document: { type: 'core' } },
    request('good-2', { tenant: 'other' }),
    request('bad-3', { tenant: 'nobody' }),
    request('bad-4', { idempotencyKey: '' }),
    undefined as unknown as IndexRequest,
    request('good-6'),
  ]);
  expect(results.map((result) => (result instanceof SealdexError ? result.code : result.status))).toEqual([
    'queued',
    'DOCUMENT_INVALID',
    'queued',
    'TENANT_UNKNOWN',
    'DOCUMENT_INVALID',
    'DOCUMENT_INVALID',
    'queued',
  ]);
  expect((results[4] as SealdexError).field).toBe('idempotencyKey');
});

it('a denied KMS key of one tenant fails only its requests', async () => {
  const shut = await refusingTenant('shut');
  scene.services.kms.disable(shut);
  const results = await producer.enqueueIndexBulk(
    range(60).map((n) => request(`mixed-${n}`, { tenant: n % 3 === 0 ? 'shut' : n % 3 === 1 ? 'acme' : 'other' })),
  );
  for (const [n, result] of results.entries())
    expect(result).toMatchObject(n % 3 === 0 ? { code: 'KEY_DISABLED' } : { status: 'queued' });
});

it('the later of two requests for one document has the higher revision and wins, regardless of idempotency keys', async () => {
  const keyed = { idempotencyKey: 'wins' };
  const texts = ['first', 'second', 'third', 'fourth'];
  const results = await producer.enqueueIndexBulk(
    texts.flatMap((text, n) => [
      request('wins', { document: documentOf('wins', 10, { title: text }), ...(n === 1 ? keyed : {}) }),
      request(`between-${n}`, n === 2 ? { idempotencyKey: 'between' } : {}),
    ]),
  );
  const jobs = results.map(resultOf);
  const own = jobs.filter((_, index) => index % 2 === 0).map(({ revision }) => revision);
  expect(own).toEqual([...own].sort((a, b) => a - b));
  const stop = await scene.work();
  for (const { jobId } of jobs) await ended(producer, jobId, 'done', 'superseded');
  await stop();
  const reader = await scene.reader();
  expect(await reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'wins' })).toMatchObject({ title: 'fourth' });
});

it('the first of three requests with one idempotency key is queued, the same one is its duplicate, another is a conflict', async () => {
  const results = await producer.enqueueIndexBulk([
    request('same', { idempotencyKey: 'same' }),
    request('other', { idempotencyKey: 'same' }),
    request('same', { idempotencyKey: 'same' }),
  ]);
  expect(results[1]).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
  const [first, second] = [results[0], results[2]].map(resultOf);
  expect(first).toMatchObject({ status: 'queued' });
  expect(second).toMatchObject({ status: 'duplicate', jobId: first!.jobId, revision: first!.revision });
});

it('at most 16 requests run at once, and large documents one after the other', async () => {
  const fault = scene.services.s3.faults.set({
    match: { method: 'PUT', prefix: 'intake/' },
    fault: { kind: 'hang' },
  });
  const large = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
  const many = large.enqueueIndexBulk(range(100).map((n) => request(`many-${n}`)));
  await eventually(() => fault.waiting >= 16);
  expect(fault.waiting).toBe(16);
  fault.clear();
  await many;

  const second = scene.services.s3.faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault: { kind: 'hang' } });
  const huge = large.enqueueIndexBulk(
    range(3).map((n) => request(`huge-${n}`, { document: documentOf(`huge-${n}`, 17_000_000) })),
  );
  await eventually(() => second.waiting >= 1);
  expect({ waiting: second.waiting, met: second.met }).toEqual({ waiting: 1, met: 1 });
  second.clear();
  for (const result of await huge) expect(result).toMatchObject({ status: 'queued' });
});

it('a failure of the store affects one request; later ones are queued', async () => {
  const small = await scene.producer({ SEALDEX_INLINE_BYTES: 0 });
  const fault = { kind: 'error', status: 403, code: 'AccessDenied' } as const;
  scene.services.s3.faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault, times: 3 });
  const results = await small.enqueueIndexBulk(range(40).map((n) => request(`hiccup-${n}`)));
  expect(results.filter((result) => result instanceof SealdexError).map(({ code }) => code)).toEqual(
    Array.from({ length: 3 }, () => 'STORE_FAILED'),
  );
});

it('requests of one tenant are no longer tried if KMS does not respond for it, and another tenant continues', async () => {
  using _real = realDeadlines({ promptMs: 20_000 });
  const silent = await scene.tenant('silent');
  scene.services.kms.faults.set({ match: { key: silent }, fault: { kind: 'hang' } });
  const results = await producer.enqueueIndexBulk([
    ...range(2000).map((n) => request(`silent-${n}`, { tenant: 'silent' })),
    request('after-all'),
  ]);
  expect(results.slice(0, 2000).every((result) => result instanceof SealdexError && result.code === 'KMS_FAILED')).toBe(
    true,
  );
  expect(results[2000]).toMatchObject({ status: 'queued' });
  expect(scene.services.kms.counts.count({ key: silent })).toBeLessThan(10);
  expect(keyArn).not.toBe(silent);
});

it('requests of 64 tenants are no longer tried after 16 failures if KMS does not respond at all', async () => {
  using _real = realDeadlines({ promptMs: 20_000 });
  const tenants = range(64).map((n) => `quiet-${n}`);
  const keys = await Promise.all(tenants.map((tenant) => scene.tenant(tenant)));
  scene.services.kms.faults.set({ fault: { kind: 'hang' } });
  const results = await producer.enqueueIndexBulk(
    range(256).map((n) => request(`quiet-${n}`, { tenant: tenants[n % 64]! })),
  );
  expect(new Set(results.map((result) => (result instanceof SealdexError ? result.code : result.status)))).toEqual(
    new Set(['KMS_FAILED']),
  );
  const called = keys.filter((key) => scene.services.kms.counts.count({ key }) > 0);
  expect(called.length).toBeGreaterThan(0);
  expect(called.length).toBeLessThanOrEqual(16);
  scene.services.kms.faults.clear();
  expect(await producer.enqueueIndexBulk([request('quiet-after')])).toMatchObject([{ status: 'queued' }]);
});

it('requests are no longer tried after 16 failures if the gates are unknown', async () => {
  await using opened = new AsyncDisposableStack();
  const { config, redis, store } = scene;
  const queue = opened.adopt(openQueue(config, redis, systemClock), (queue) => queue.close());
  const subscriber = opened.adopt(redis.duplicate(), (subscriber) => subscriber.disconnect());
  const changes = createTenantChanges({ redis, subscriber, queue: config.queue, clock: systemClock });
  const tenants = opened.adopt(
    await createTenants({ config, clock: systemClock, store, changes, audit: noAudit }),
    (tenants) => tenants.close(),
  );
  let called = 0;
  const refusal = (): SealdexError => ((called += 1), new SealdexError('GATE_UNKNOWN'));
  const ring = {} as IntakeDeps['ring'];
  const { inlineBytes, platformKeyArn } = config;
  const intake = { store, queue: config.queue, ring, inlineBytes, platformKeyArn, refusal };
  const fingerprintKey = {} as ProducerDeps['fingerprintKey'];
  const blind = createProducerFrom({ config, clock: systemClock, queue, tenants, intake, fingerprintKey }, () => {});
  const results = await blind.enqueueIndexBulk(
    range(64).map((n) => request(`unknown-${n}`, { tenant: ['acme', 'other'][n % 2]! })),
  );
  expect(results).toHaveLength(64);
  for (const result of results) expect(result).toMatchObject({ code: 'GATE_UNKNOWN' });
  expect(called).toBe(16);
});

it("disabled keys of 20 tenants fail only those tenants' requests", async () => {
  const tenants = range(20).map((n) => `locked-${n}`);
  for (const key of await Promise.all(tenants.map(refusingTenant))) scene.services.kms.disable(key);
  const results = await producer.enqueueIndexBulk([
    ...tenants.map((tenant) => request('locked', { tenant })),
    request('locked-after'),
  ]);
  for (const result of results.slice(0, 20)) expect(result).toMatchObject({ code: 'KEY_DISABLED' });
  expect(results[20]).toMatchObject({ status: 'queued' });
});

it('the array can change during the call: its length at the call counts', async () => {
  const requests = range(40).map((n) => request(`change-${n}`));
  const pending = producer.enqueueIndexBulk(requests);
  requests.length = 0;
  requests.push(request('more'));
  const results = await pending;
  expect(results).toHaveLength(40);
  expect(results.every((result) => result instanceof SealdexError || result.status === 'queued')).toBe(true);
});
