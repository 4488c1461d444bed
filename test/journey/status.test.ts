// producer.status() during the life of a job.
import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import type { JobStatus } from '../../src/queue/bull/job-lookup.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { eventually } from '../support/eventually.ts';
import { openInstallation, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const worker = (installation: Installation): Promise<RunningWorker> =>
  startWorker(installation.settings, { host: '127.0.0.1' });

async function enqueue({ producer }: Installation, id: string, text = 'Text.'): Promise<string> {
  return (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(id, text) })).jobId;
}

const becomes = ({ producer }: Installation, jobId: string, state: string): Promise<JobStatus> =>
  eventually(async () => {
    const status = await producer.status(jobId);
    return status.state === state ? status : undefined;
  });

test('a job is queued, active, done, and unknown after SEALDEX_STATUS_MS', async () => {
  await using installation = await openInstallation({ SEALDEX_STATUS_MS: 60_000 });
  await installation.tenant('acme');
  const hang = installation.services.s3.faults.set({
    match: { method: 'PUT', prefix: 'documents/' },
    fault: { kind: 'hang' },
  });
  const begun = Date.now();
  const jobId = await enqueue(installation, 'one');
  const queued = await installation.producer.status(jobId);
  expect(queued).toEqual({ state: 'queued', since: (await installation.queue.getJob(jobId))?.timestamp });
  expect(queued.since).toBeGreaterThanOrEqual(begun);
  await using running = await worker(installation);
  const active = await becomes(installation, jobId, 'active');
  expect(active).toEqual({ state: 'active', since: (await installation.queue.getJob(jobId))?.processedOn });
  expect(active.since).toBeGreaterThanOrEqual(queued.since ?? Infinity);
  hang.clear();
  expect(await becomes(installation, jobId, 'done')).toEqual({ state: 'done', since: expect.any(Number) });
  const note = redisKeys(String(installation.settings.SEALDEX_QUEUE)).note(jobId);
  const leftMs = await installation.redis.pttl(note);
  expect(leftMs).toBeGreaterThan(0);
  expect(leftMs).toBeLessThanOrEqual(60_000);
  // As if they had passed.
  await installation.redis.pexpire(note, 1);
  expect(await becomes(installation, jobId, 'unknown')).toEqual({ state: 'unknown' });
  expect((await running.stop()).isClean).toBe(true);
});

test('a job of a disabled KMS key is parked with the code of the error, and then done', async () => {
  await using installation = await openInstallation({ SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 });
  const arn = await installation.tenant('acme');
  const begun = Date.now();
  const jobId = await enqueue(installation, 'one');
  installation.services.kms.disable(arn);
  await using running = await worker(installation);
  const { since, ...status } = await becomes(installation, jobId, 'parked');
  expect(status).toEqual({ state: 'parked', code: 'KEY_DISABLED' });
  expect(since).toBeGreaterThanOrEqual(begun);
  const job = await installation.queue.getJob(jobId);
  expect(job?.attemptsMade).toBe(0);
  expect(job?.delay).toBeGreaterThanOrEqual(3 * 3_600_000);
  expect(job?.delay).toBeLessThanOrEqual(5 * 3_600_000);
  installation.services.kms.enable(arn);
  expect(await installation.end(jobId)).toBe('done');
  expect(running.port).toBeGreaterThan(0);
});

test('a worker takes jobs of the upload queue too, which are counted separately and shown like any other', async () => {
  await using installation = await openInstallation();
  await using running = await worker(installation);
  const files = new Queue('upload', { connection: installation.redis, prefix: installation.queue.opts.prefix ?? '' });
  const id = `j${'1'.repeat(32)}`;
  await files.add('upload', { v: 1, kind: 'upload', tenant: 'acme', corpus: 'docs' }, { jobId: id });
  expect(await becomes(installation, id, 'dead')).toMatchObject({ code: 'JOB_INVALID' });
  const { index, upload } = await installation.operator.status();
  expect([index.dead, upload.dead]).toEqual([0, 1]);
  expect(await installation.operator.deadShow(id)).toMatchObject({ queue: 'upload', kind: 'upload', tenant: 'acme' });
  await files.close();
  expect(await running.stop()).toEqual({ handedBack: 0, isClean: true });
});

test('a delayed job without a status note is retrying since it was queued, and an invalid time is ignored', async () => {
  await using installation = await openInstallation();
  const id = `j${'0'.repeat(32)}`;
  await installation.queue.add('index', {}, { jobId: id, delay: 600_000, timestamp: 1_700_000_000_000 });
  expect(await installation.producer.status(id)).toEqual({ state: 'retrying', since: 1_700_000_000_000 });
  await installation.redis.hset(installation.queue.toKey(id), 'timestamp', 'words of a document');
  expect(await installation.producer.status(id)).toEqual({ state: 'retrying' });
});

test('the older of two jobs for one document in the wrong order is superseded', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const older = await enqueue(installation, 'one');
  const newer = await enqueue(installation, 'one');
  await (await installation.queue.getJob(older))?.changePriority({ priority: 9 });
  await using running = await startWorker({ ...installation.settings, SEALDEX_CONCURRENCY: 1 }, { host: '127.0.0.1' });
  expect([await installation.end(newer), await installation.end(older)]).toEqual(['done', 'superseded']);
  expect(running.port).toBeGreaterThan(0);
});

test('a job is dead as STALLED_TOO_OFTEN without another run, if its worker died again and again', async () => {
  await using installation = await openInstallation();
  await installation.tenant('acme');
  const jobId = await enqueue(installation, 'one');
  // The state of the queue after the fourth stall: BullMQ has marked the job to fail when it is taken.
  const entry = installation.queue.toKey(jobId);
  await installation.redis.hset(entry, 'stc', '4', 'defa', 'job stalled more than allowable limit');
  await using running = await worker(installation);
  expect(await becomes(installation, jobId, 'dead')).toEqual({
    state: 'dead',
    code: 'STALLED_TOO_OFTEN',
    since: expect.any(Number),
  });
  expect(await installation.redis.hmget(entry, 'failedReason', 'stacktrace')).toEqual([
    `STALLED_TOO_OFTEN ${jobId}`,
    '[]',
  ]);
  expect(installation.services.s3.requests.count({ method: 'PUT', prefix: 'documents/' })).toBe(0);
  const metrics = await (await fetch(`http://127.0.0.1:${running.port}/metrics`)).text();
  expect(metrics).toContain('sealdex_job_failures_total{code="STALLED_TOO_OFTEN",reason=""} 1');
});

test('a repeated request receives the outcome of the first one', async () => {
  await using installation = await openInstallation({ SEALDEX_STATUS_MS: 1000 });
  await installation.tenant('acme');
  const request = { tenant: 'acme', corpus: 'docs', document: documentOf('one', 'Text.'), idempotencyKey: 'key' };
  const first = await installation.producer.enqueueIndex(request);
  await using running = await worker(installation);
  await becomes(installation, first.jobId, 'unknown');
  expect(await installation.producer.enqueueIndex(request)).toEqual({
    status: 'duplicate',
    jobId: first.jobId,
    revision: first.revision,
    state: 'done',
  });
  expect(running.port).toBeGreaterThan(0);
});
