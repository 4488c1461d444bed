// Canceling jobs of a tenant: what is removed, what stays, and jobs that a worker takes meanwhile.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createOperator, startWorker, type AuditRecord, type Operator } from '../../src/app/app.ts';
import { openQueue } from '../../src/queue/bull/queues.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { removeIntakeOfAnyForm } from '../../src/store/intake.ts';
import { openInstallation, type Installation } from '../journey/installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';

const HANGING = { match: { method: 'PUT', prefix: 'documents/' }, fault: { kind: 'hang' } } as const;

let installation: Installation;
let operator: Operator;
let tenant = '';
let keyArn = '';
let tenants = 0;
const records: AuditRecord[] = [];

beforeAll(async () => {
  installation = await openInstallation({
    SEALDEX_INLINE_BYTES: 0,
    SEALDEX_PROBE_MIN_MS: 600_000,
    SEALDEX_PROBE_MAX_MS: 600_000,
  });
  operator = await createOperator(installation.settings, { audit: (record) => void records.push(record) });
});

beforeEach(async () => {
  tenants += 1;
  tenant = `tenant-${tenants}`;
  keyArn = await installation.tenant(tenant);
  records.length = 0;
});

afterAll(async () => {
  await operator[Symbol.asyncDispose]();
  await installation[Symbol.asyncDispose]();
});

const enqueue = async (id: string, corpus = 'docs'): Promise<string> =>
  (await installation.producer.enqueueIndex({ tenant, corpus, document: documentOf(id, 'Text.') })).jobId;

const remove = async (id: string): Promise<string> =>
  (await installation.producer.enqueueDelete({ tenant, corpus: 'docs', id })).jobId;

const statusOf = (jobId: string) => installation.producer.status(jobId);

const contents = (): Promise<string[]> => keysUnder(installation.store, `intake/${tenant}/`);

const backlog = async (): Promise<number> =>
  Number(
    (await installation.redis.hget(redisKeys(String(installation.settings.SEALDEX_QUEUE)).backlogJobs, tenant)) ?? 0,
  );

const pendingRemovals = (): Promise<number> =>
  installation.redis.zcard(redisKeys(String(installation.settings.SEALDEX_QUEUE)).intakeRemovals);

const CANCELED = { state: 'dead', code: 'JOB_CANCELED' };

test('canceled jobs leave queue, backlog and intake, end with JOB_CANCELED, and are not dead letters', async () => {
  const jobs = [await enqueue('one'), await enqueue('two'), await enqueue('three', 'other')];
  expect(await backlog()).toBe(3);
  expect(await operator.countCancelable({ tenant })).toEqual({ kinds: new Map([['index', 3]]), active: 0 });
  expect(await operator.cancelJobs({ tenant, corpus: 'docs' })).toEqual({ canceled: 2, active: 0, contentLeft: 0 });
  expect(await backlog()).toBe(1);
  expect((await contents()).length).toBe(1);
  for (const job of jobs.slice(0, 2)) {
    expect(await statusOf(job)).toMatchObject(CANCELED);
    expect(await installation.queue.getJob(job)).toBeUndefined();
    expect(await operator.deadShow(job)).toBeUndefined();
  }
  expect(await statusOf(jobs[2]!)).toMatchObject({ state: 'queued' });
  expect(await operator.cancelJobs({ tenant })).toEqual({ canceled: 1, active: 0, contentLeft: 0 });
  expect(await backlog()).toBe(0);
  expect(await contents()).toEqual([]);
  expect(await pendingRemovals()).toBe(0);
});

test('a repeated request with the idempotency key of a canceled job returns its state', async () => {
  const request = { tenant, corpus: 'docs', document: documentOf('one', 'Text.'), idempotencyKey: 'key' };
  const { jobId } = await installation.producer.enqueueIndex(request);
  await operator.cancelJobs({ tenant });
  expect(await installation.producer.enqueueIndex(request)).toMatchObject({ status: 'duplicate', jobId, ...CANCELED });
  expect(await installation.queue.getJob(jobId)).toBeUndefined();
});

test('parked jobs are canceled alone if the filter has their state, and their gate releases nothing later', async () => {
  const keys = queueKeys(redisKeys(String(installation.settings.SEALDEX_QUEUE)), 'index');
  const index = keys.parked(gateId(keyRef(tenant, keyArn)));
  installation.services.kms.disable(keyArn);
  const parked = [await enqueue('one'), await enqueue('two')];
  const worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  for (const job of parked) await eventually(async () => (await statusOf(job)).state === 'parked');
  await worker.stop();
  const queued = await enqueue('three');
  expect(await operator.countCancelable({ tenant, state: 'parked' })).toEqual({
    kinds: new Map([['index', 2]]),
    active: 0,
  });
  expect(await operator.cancelJobs({ tenant, state: 'parked' })).toMatchObject({ canceled: 2 });
  for (const job of parked) expect(await statusOf(job)).toMatchObject(CANCELED);
  expect(await installation.redis.zcard(index)).toBe(0);
  expect(await Array.fromAsync(operator.parkedJobs({ tenant }))).toEqual([]);
  expect(await backlog()).toBe(1);
  installation.services.kms.enable(keyArn);
  await operator.release(tenant, keyArn);
  await using _worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  expect(await installation.end(queued)).toBe('done');
  expect((await keysUnder(installation.store, `documents/${tenant}/`)).length).toBe(1);
});

test('deletions are canceled only by their kind', async () => {
  const deletion = await remove('one');
  const job = await enqueue('two');
  expect(await operator.cancelJobs({ tenant })).toMatchObject({ canceled: 1 });
  expect([await statusOf(job), await statusOf(deletion)]).toMatchObject([CANCELED, { state: 'queued' }]);
  expect(await operator.cancelJobs({ tenant, kind: 'delete' })).toMatchObject({ canceled: 1 });
  expect(await statusOf(deletion)).toMatchObject(CANCELED);
});

test('jobs of other tenants and jobs queued after the given time stay', async () => {
  const old = await enqueue('one');
  const { since = 0 } = await operator.job(old);
  const other = await installation.producer.enqueueIndex({
    tenant: 'tenant-1',
    corpus: 'docs',
    document: documentOf('other', 'Text.'),
  });
  expect(await operator.cancelJobs({ tenant, queuedBefore: since })).toMatchObject({ canceled: 0 });
  expect(await operator.cancelJobs({ tenant, queuedBefore: since + 1 })).toMatchObject({ canceled: 1 });
  expect(await statusOf(other.jobId)).toMatchObject({ state: 'queued' });
  await operator.cancelJobs({ tenant: 'tenant-1' });
});

test('a job that a worker is running is counted and ends as without the call', async () => {
  const hang = installation.services.s3.faults.set(HANGING);
  const job = await enqueue('one');
  await using _worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await eventually(() => hang.waiting === 1);
  expect(await operator.cancelJobs({ tenant })).toEqual({ canceled: 0, active: 1, contentLeft: 0 });
  hang.clear();
  expect(await installation.end(job)).toBe('done');
});

test('jobs that a worker takes between the list and the removal are not canceled', async () => {
  const queue = openQueue(loadConfig(installation.settings, {}), installation.redis, systemClock);
  const jobs = await Promise.all(Array.from({ length: 60 }, (_, at) => enqueue(`document ${at}`)));
  const hang = installation.services.s3.faults.set(HANGING);
  // Fifty jobs are canceled at a time. A worker takes the other ten while the content of the first is removed.
  let taking: ReturnType<typeof startWorker> | undefined;
  const result = await queue.cancel({ tenant }, async (place) => {
    await (taking ??= startWorker(installation.settings, { host: '127.0.0.1' }));
    await eventually(() => hang.waiting === 10);
    await removeIntakeOfAnyForm(installation.store, place);
  });
  expect(result).toEqual({ canceled: 50, active: 10, contentLeft: 0 });
  hang.clear();
  const ends = await Promise.all(jobs.map((job) => installation.end(job)));
  expect(ends.filter((end) => end === 'done').length).toBe(10);
  expect(ends.filter((end) => end === 'dead JOB_CANCELED').length).toBe(50);
  await (await taking)?.stop();
  await queue.close();
});

test('content that S3 does not delete is a pending removal, and its job is canceled', async () => {
  const job = await enqueue('one');
  const failing = openQueue(loadConfig(installation.settings, {}), installation.redis, systemClock);
  const result = await failing.cancel({ tenant }, () => Promise.reject(new Error('S3 is down')));
  await failing.close();
  expect(result).toEqual({ canceled: 1, active: 0, contentLeft: 1 });
  expect(await pendingRemovals()).toBe(1);
  expect(await statusOf(job)).toMatchObject(CANCELED);
});

test('each call is a line in the audit log with filter and number of jobs', async () => {
  await enqueue('one');
  await operator.cancelJobs({ tenant, corpus: 'docs', kind: 'index' });
  expect(records).toMatchObject([
    { tenant, operation: 'CancelJobs', settings: { corpus: 'docs', kind: 'index', canceled: 1 }, result: 'ok' },
  ]);
  await expect(operator.cancelJobs({ tenant: 'no tenant' })).rejects.toMatchObject({
    code: 'DOCUMENT_INVALID',
    field: 'tenant',
  });
});
