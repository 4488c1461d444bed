// A tenant is deleted: afterwards only its file names it, regardless of parallel work and interruptions; another tenant
// keeps everything.
import { S3Client, CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import { LOCAL_ROLE, S3_ERRORS } from '@sealdex/local-aws';
import { countTenant, deleteTenant, type DeletionStep } from '../../src/offboarding/delete.ts';
import { rolePolicy } from '../../src/policies/role-policy.ts';
import { MAX_SKEW_MS } from '../../src/runtime/clock.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { writeReencrypted } from '../../src/store/reencrypted.ts';
import { CACHE_MS, MAX_WORK_MS, SETTLED_MS } from '../../src/tenants/tenants.ts';
import { JOB_MS } from '../../src/handlers/handle.ts';
import { textOf } from '../journey/installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import {
  LEAVER,
  namesInRedis,
  namesInStore,
  openOffboardingFixture,
  STAYER,
  type OffboardingFixture,
} from './fixture.ts';

let fixture: OffboardingFixture;
let worker: RunningWorker | undefined;

beforeEach(async () => {
  fixture = await openOffboardingFixture();
  await fixture.installation.tenant(LEAVER);
  await fixture.installation.tenant(STAYER);
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  await fixture[Symbol.asyncDispose]();
});

const runWorker = async (): Promise<void> => {
  worker = await startWorker(fixture.installation.settings, { host: '127.0.0.1' });
};

/** Conditions at the end, including heartbeats, which report within seconds that no key of it is in memory. */
async function expectGone(): Promise<void> {
  const { installation, deps } = fixture;
  expect(await namesInStore(installation.store)).toEqual([`tenants/${LEAVER}.json`]);
  await expect
    .poll(() => namesInRedis(installation.redis, deps.config.queue), { timeout: 600_000, interval: 100 })
    .toEqual([]);
}

/** Dead letters of both tenants, since the document that must not exist does. */
async function makeLetters(): Promise<void> {
  for (const tenant of [LEAVER, STAYER]) {
    const document = documentOf('document-0', 'Another text.');
    const { jobId } = await fixture.installation.producer.enqueueIndex({
      tenant,
      corpus: 'docs',
      document,
      ifExists: 'reject',
    });
    expect(await fixture.installation.end(jobId)).toBe('dead DOCUMENT_CONFLICT');
  }
}

/** Jobs of both tenants, parked because an operator has paused them. */
async function park(jobs: number): Promise<void> {
  const { producer, operator } = fixture.installation;
  for (const tenant of [LEAVER, STAYER]) await operator.pauseTenant(tenant, 'a test');
  const requests = [LEAVER, STAYER].flatMap((tenant) =>
    Array.from({ length: tenant === LEAVER ? jobs : 20 }, (_, at) => ({
      tenant,
      corpus: 'docs',
      document: documentOf(`parked-${at}`, at % 100 === 0 ? 'x'.repeat(20_000) : 'Short.'),
    })),
  );
  for (const queued of await producer.enqueueIndexBulk(requests)) if (queued instanceof Error) throw queued;
  const parked = async (tenant: string): Promise<number> =>
    (await operator.status()).parkedByTenant.find((each) => each.tenant === tenant)?.jobs ?? 0;
  await eventually(async () => ((await parked(LEAVER)) === jobs && (await parked(STAYER)) === 20) || undefined);
}

test('a tenant with documents, originals, deletions, dead letters and thousands of parked jobs is deleted, and another keeps all', async () => {
  const { installation, deps } = fixture;
  for (const tenant of [LEAVER, STAYER]) await installation.operator.putTenant(tenant, { keepOriginals: true });
  await runWorker();
  await fixture.fill(12);
  for (const tenant of [LEAVER, STAYER]) {
    const file = {
      tenant,
      corpus: 'files',
      filename: 'a.txt',
      contentType: 'text/plain',
      body: Buffer.from('A file.'),
    };
    expect(await installation.end((await installation.producer.enqueueUpload(file)).jobId)).toBe('done');
    const gone = await installation.producer.enqueueDelete({ tenant, corpus: 'docs', id: 'document-2' });
    expect(await installation.end(gone.jobId)).toBe('done');
  }
  await makeLetters();
  await park(3000);
  const staying = await keysUnder(installation.store, `documents/${STAYER}/`);

  // Everything that the test searches for later can be found.
  const named = await namesInRedis(installation.redis, deps.config.queue);
  for (const fixture of [
    'index:j',
    'keys:documents',
    'keys:intake',
    'parking:jobs',
    'parking:gates',
    'letters',
    'backlog:jobs',
    'backlog:platform-jobs',
  ])
    expect(named.join('\n')).toContain(`}:${fixture}`);

  const left = await deleteTenant(deps, LEAVER, { operator: 'arn:aws:iam::111122223333:user/ann' });
  expect(left).toMatchObject({
    left: 0,
    unseen: {},
    removed: { documents: 13, originals: 1, letters: expect.any(Number) },
  });
  expect(left.removed.jobs + left.removed.letters).toBe(3001);
  expect(left.removed.intake).toBeGreaterThan(20);
  await expectGone();

  expect(await keysUnder(installation.store, `documents/${STAYER}/`)).toEqual(staying);
  expect(await keysUnder(installation.store, `originals/${STAYER}/`)).toHaveLength(1);
  const { parkedByTenant, deadByTenant } = await installation.operator.status();
  expect(parkedByTenant).toMatchObject([{ tenant: STAYER, jobs: 20 }]);
  expect(deadByTenant).toEqual([{ tenant: STAYER, code: 'DOCUMENT_CONFLICT', letters: 1 }]);
  await installation.operator.resumeTenant(STAYER);
  await installation.empty();
  expect(await textOf(installation.reader, STAYER, 'docs', 'parked-3')).toBe('SectionShort.');
  expect(Number(await installation.redis.hget(redisKeys(deps.config.queue).backlogJobs, STAYER))).toBe(1);
});

test('a deletion interrupted after any of its steps completes when run again', async () => {
  const { installation, deps } = fixture;
  await runWorker();
  const steps: DeletionStep['step'][] = ['marked', 'shut', 'swept', 'waiting', 'waited', 'pass'];
  await fixture.fill(6);
  await makeLetters();
  await installation.operator.pauseTenant(LEAVER, 'a test');
  for (const last of steps) {
    const cut = new Error(`cut off after ${last}`);
    const onStep = ({ step }: DeletionStep): void => {
      if (step === last) throw cut;
    };
    await expect(deleteTenant(deps, LEAVER, { onStep })).rejects.toBe(cut);
    expect((await installation.operator.tenant(LEAVER)).deleted).toBeDefined();
    // Like a process that has missed the change.
    await installation.store.put(`documents/${LEAVER}/docs/${'c'.repeat(64)}`, Buffer.from('late'), {});
  }
  expect(await deleteTenant(deps, LEAVER)).toMatchObject({ left: 0, removed: { documents: 1 } });
  await expectGone();
  expect(await keysUnder(installation.store, `documents/${STAYER}/`)).toHaveLength(6);
});

test('a deletion aborted between two removals continues when run again', async () => {
  const { installation, deps } = fixture;
  await runWorker();
  await fixture.fill(40);
  for (const at of [1, 20, 33]) {
    const ending = new AbortController();
    const onProgress = ({ documents, traces }: { documents: number; traces: number }): void => {
      if (documents + traces >= at) ending.abort(new Error('ended'));
    };
    await deleteTenant(deps, LEAVER, { signal: ending.signal, onProgress }).catch(() => {});
  }
  expect((await deleteTenant(deps, LEAVER)).left).toBe(0);
  await expectGone();
  expect(await keysUnder(installation.store, `documents/${STAYER}/`)).toHaveLength(40);
});

test('a deletion completes while jobs of the tenant are enqueued and processed, and another tenant is served', async () => {
  const { installation, deps } = fixture;
  await runWorker();
  const over = new AbortController();
  const codes = new Set<string>();
  const jobs: string[] = [];
  const flood = async (): Promise<void> => {
    for (let at = 0; !over.signal.aborted; at++) {
      for (const tenant of [LEAVER, STAYER]) {
        const document = documentOf(`flood-${at % 50}`, 'x'.repeat(at % 3 === 0 ? 9000 : 100));
        const queued = await installation.producer
          .enqueueIndex({ tenant, corpus: 'docs', document })
          .catch((error) => error);
        if (tenant === LEAVER && queued.code) codes.add(queued.code);
        if (tenant === STAYER) jobs.push(queued.jobId);
      }
    }
  };
  const flooding = flood();
  await eventually(() => Promise.resolve(jobs.length > 40 || undefined));
  const left = await deleteTenant(deps, LEAVER);
  over.abort();
  await flooding;
  expect(left.left).toBe(0);
  await expectGone();
  expect([...codes]).toEqual(['TENANT_UNKNOWN']);
  expect(await installation.end(jobs.at(-1)!)).toBe('done');
});

test('a job of the tenant taken after the mark ends as TENANT_UNKNOWN, and a read does too', async () => {
  const { installation, deps } = fixture;
  const document = documentOf('late', 'Late.');
  const { jobId } = await installation.producer.enqueueIndex({ tenant: LEAVER, corpus: 'docs', document });
  await deps.tenants.put(LEAVER, { deleted: { at: Date.now() } });
  await runWorker();
  expect(await installation.end(jobId)).toBe('dead TENANT_UNKNOWN');
  await expect(installation.reader.open({ tenant: LEAVER, corpus: 'docs', id: 'late' })).rejects.toMatchObject({
    code: 'TENANT_UNKNOWN',
  });
  expect(await deleteTenant(deps, LEAVER)).toMatchObject({ left: 0, removed: { letters: 1 } });
  await expectGone();
});

test('an active job is left to its worker, and reported if it never ends', async () => {
  const { installation, deps } = fixture;
  const document = documentOf('stuck', 'Stuck.');
  const { jobId } = await installation.producer.enqueueIndex({ tenant: LEAVER, corpus: 'docs', document });
  const lock = `sealdex:{${deps.config.queue}}:index:${jobId}:lock`;
  await installation.redis.set(lock, 'somebody');
  expect(await deleteTenant(deps, LEAVER)).toMatchObject({ left: 1, leftByKind: { busy: 1 } });
  await installation.redis.del(lock);
  expect(await deleteTenant(deps, LEAVER)).toMatchObject({ left: 0, removed: { jobs: 1 } });
  await expectGone();
});

test('foreign entries in the queue for the tenant are removed too, and entries that only mention it stay', async () => {
  const { installation, deps } = fixture;
  await installation.queue.add('index', { x: 1, tenant: LEAVER }, { jobId: 'foreign-1' });
  await installation.queue.add('index', { tenant: LEAVER }, { jobId: 'foreign-2', delay: 60_000 });
  await installation.queue.add('index', { inner: { tenant: LEAVER }, tenant: STAYER }, { jobId: 'foreign-3' });
  expect((await deleteTenant(deps, LEAVER)).removed.jobs).toBe(2);
  expect(await installation.queue.getJobCounts('wait', 'delayed')).toEqual({ wait: 1, delayed: 0 });
});

test('older versions, delete markers and unfinished uploads are removed from a bucket with versions', async () => {
  const { installation, deps } = fixture;
  installation.services.s3.keepVersions(String(installation.settings.SEALDEX_BUCKET));
  await runWorker();
  await fixture.fill(4);
  await fixture.fill(4);
  for (const tenant of [LEAVER, STAYER, LEAVER, STAYER])
    await writeReencrypted(installation.store, deps.config.queue, tenant, { change: 'x', at: 1, left: 0 });
  const client = new S3Client({
    endpoint: installation.services.s3.endpoint,
    region: 'us-west-2',
    forcePathStyle: true,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const Bucket = String(installation.settings.SEALDEX_BUCKET);
  for (const tenant of [LEAVER, STAYER])
    await client.send(new CreateMultipartUploadCommand({ Bucket, Key: `intake/${tenant}/j1/1` }));
  client.destroy();
  await installation.store.remove((await keysUnder(installation.store, `documents/${LEAVER}/`))[0]!);
  const before = (await installation.store.listVersions(`documents/${STAYER}/`)).versions.length;
  expect(before).toBe(8);
  await worker?.stop();
  const { s3 } = installation.services;
  const { SEALDEX_BUCKET: bucket, SEALDEX_PLATFORM_KEY_ARN: arn } = installation.settings;
  const facts = { bucket: String(bucket), platformKeyArn: String(arn), queue: deps.config.queue };
  // With only the permissions of the printed policy.
  s3.permissions.set(LOCAL_ROLE, JSON.stringify(rolePolicy('operator', facts)));
  const left = await deleteTenant(deps, LEAVER).finally(() => s3.permissions.set(LOCAL_ROLE, undefined));
  // The tenant's file has older versions as well, with the same content.
  expect(left).toMatchObject({
    left: 0,
    unseen: {},
    mayRemain: [],
    removed: { documents: 3, versions: 7, uploads: 1 },
  });
  expect((await installation.store.listVersions(`system/${deps.config.queue}/reencrypted/`)).versions).toHaveLength(2);
  await expectGone();
  expect((await installation.store.listVersions(`documents/${STAYER}/`)).versions).toHaveLength(before);
  expect((await installation.store.listUploads('intake/')).uploads).toMatchObject([{ key: `intake/${STAYER}/j1/1` }]);
});

test('current objects are removed and a warning is returned if versions cannot be listed', async () => {
  const { installation, deps } = fixture;
  await runWorker();
  await fixture.fill(4);
  for (const kind of ['versions', 'uploads'] as const)
    installation.services.s3.faults.set({ match: { kind }, fault: S3_ERRORS.accessDenied });
  expect(await deleteTenant(deps, LEAVER)).toMatchObject({
    left: 0,
    removed: { documents: 4 },
    unseen: { versions: 'AccessDenied', uploads: 'AccessDenied' },
    mayRemain: ['versions', 'uploads'],
  });
  installation.services.s3.faults.clear();
  await expectGone();
});

test('older versions may remain if they can be listed but not removed; a store without versions has none', async () => {
  const { installation, deps } = fixture;
  const { s3 } = installation.services;
  s3.keepVersions(String(installation.settings.SEALDEX_BUCKET));
  const key = `documents/${LEAVER}/docs/${'c'.repeat(64)}`;
  for (const text of ['one', 'two']) await installation.store.put(key, Buffer.from(text), {});
  const Statement = [
    { Effect: 'Allow', Action: ['s3:*'], Resource: '*' },
    { Effect: 'Deny', Action: ['s3:DeleteObjectVersion'], Resource: '*' },
  ];
  s3.permissions.set(LOCAL_ROLE, JSON.stringify({ Version: '2012-10-17', Statement }));
  const left = await deleteTenant(deps, LEAVER).finally(() => s3.permissions.set(LOCAL_ROLE, undefined));
  expect(left.mayRemain).toEqual(['versions']);
  expect((await installation.store.listVersions(key)).versions.length).toBeGreaterThan(2);
  s3.faults.set({
    match: { kind: 'versions' },
    fault: { kind: 'error', status: 501, code: 'NotImplemented', message: 'Not here.' },
  });
  expect(await deleteTenant(deps, LEAVER)).toMatchObject({
    left: 0,
    unseen: { versions: 'NotImplemented' },
    mayRemain: [],
  });
});

test('a count changes nothing', async () => {
  const { installation, deps } = fixture;
  await runWorker();
  await fixture.fill(4);
  await makeLetters();
  const before = [
    await namesInStore(installation.store),
    (await namesInRedis(installation.redis, deps.config.queue)).toSorted(),
  ];
  const { leftByKind } = await countTenant(deps, LEAVER);
  expect(leftByKind).toMatchObject({ documents: 4, letters: 1, jobs: 0 });
  expect(await namesInStore(installation.store)).toEqual(before[0]);
  expect((await installation.operator.tenant(LEAVER)).deleted).toBeUndefined();
  expect(await installation.operator.deadList({ tenant: LEAVER }, { limit: 10 })).toMatchObject({ letters: [{}] });
});

test('the name cannot be reused, and its KMS keys remain known as those of a deleted tenant', async () => {
  const { installation, deps } = fixture;
  const arn = (await installation.operator.tenant(LEAVER)).kmsKeyArn!;
  await deleteTenant(deps, LEAVER, { operator: 'ann' });
  for (const change of [{ plan: 'free' }, { keepOriginals: true }, { paused: null }] as const)
    await expect(installation.operator.putTenant(LEAVER, change)).rejects.toMatchObject({
      code: 'TENANT_UNKNOWN',
      message: expect.stringMatching(/was deleted at .*its name cannot be reused/),
    });
  const owners = await Array.fromAsync(installation.operator.tenantsOf(arn));
  expect(owners).toEqual([{ tenant: LEAVER, deleted: true }]);
  expect(await installation.operator.tenant(LEAVER)).toMatchObject({ kmsKeyArn: arn, deleted: { operator: 'ann' } });
});

test('the keys of the tenant are wiped in all processes before anything is removed', async () => {
  const { installation, deps } = fixture;
  await runWorker();
  await fixture.fill(2);
  const held = async (): Promise<string[]> =>
    (await installation.operator.status()).processes.flatMap((one) => one.tenants);
  await eventually(async () => (await held()).includes(LEAVER) || undefined);
  const onStep = ({ step }: DeletionStep): void => {
    if (step === 'shut') throw new Error('cut off');
  };
  await expect(deleteTenant(deps, LEAVER, { onStep })).rejects.toThrow('cut off');
  await eventually(async () => !(await held()).includes(LEAVER) || undefined);
  expect(await held()).toContain(STAYER);
});

test('the wait is as long as an uninformed process may continue', () => {
  expect(MAX_WORK_MS).toBeGreaterThanOrEqual(JOB_MS);
  expect(SETTLED_MS).toBe(CACHE_MS + MAX_WORK_MS + 2 * MAX_SKEW_MS);
});
