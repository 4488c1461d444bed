// The printed IAM policies: each role works with only these permissions, and needs every one of them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOperator, createProducer, createReader, startWorker } from '../../src/app/app.ts';
import { openResources } from '../../src/app/resources.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { KMS_ERRORS, type KmsFault } from '@sealdex/local-aws';
import { silentLog } from '../../src/runtime/log.ts';
import { rolePolicy, ROLES, type Role } from '../../src/policies/role-policy.ts';
import type { Operator } from '../../src/operator/operator.ts';
import { createReaderFrom } from '../../src/reader/reader.ts';
import { openQueue } from '../../src/queue/bull/queues.ts';
import { createReencryption } from '../../src/reencryption/reencryption.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { readAll } from '../../src/store/store.ts';
import { putIntake } from '../../src/store/intake.ts';
import { newIntakePlace } from '../support/intake.ts';
import { deleteDocument } from '../../src/store/documents.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { objectName } from '../../src/runtime/names.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { revisionFloor } from '../../src/maintenance/revision-floor.ts';
import { intakeSweep } from '../../src/maintenance/intake-sweep.ts';
import { reencryptionResumeTask } from '../../src/maintenance/reencryption-resume.ts';
import { tombstoneSweep } from '../../src/maintenance/tombstones.ts';
import { AheadClock } from '../support/ahead-clock.ts';
import { eventually } from '../support/eventually.ts';
import { openInstallation, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const principalOf = (role: Role): string => `arn:aws:iam::111122223333:role/${role}`;

let installation: Installation;

const settingsOf = (role: Role): Settings => ({
  ...installation.settings,
  AWS_ACCESS_KEY_ID: principalOf(role),
  SEALDEX_PROBE_MIN_MS: 100,
  SEALDEX_PROBE_MAX_MS: 100,
});

const policyOf = (role: Role) => {
  const { SEALDEX_BUCKET, SEALDEX_PLATFORM_KEY_ARN, SEALDEX_QUEUE } = installation.settings;
  return rolePolicy(role, {
    bucket: String(SEALDEX_BUCKET),
    platformKeyArn: String(SEALDEX_PLATFORM_KEY_ARN),
    queue: String(SEALDEX_QUEUE),
  });
};

const usesOf = (role: Role) => {
  const { s3, kms } = installation.services;
  return [...s3.permissions.uses(), ...kms.permissions.uses()].filter((use) => use.principalArn === principalOf(role));
};

const disable = (arn: string): void => installation.services.kms.disable(arn);

beforeAll(async () => {
  installation = await openInstallation({ SEALDEX_INLINE_BYTES: 0 });
  for (const role of ROLES) {
    const text = JSON.stringify(policyOf(role));
    installation.services.s3.permissions.set(principalOf(role), text);
    installation.services.kms.permissions.set(principalOf(role), text);
  }
});
afterAll(() => installation[Symbol.asyncDispose]());

/** Everything a role needs: no denial, and each action of each statement allowed by that statement alone. */
function expectExactly(role: Role): void {
  const uses = usesOf(role);
  expect(uses.filter(({ allowedBy }) => allowedBy.length === 0)).toEqual([]);
  const needed = policyOf(role).Statement.flatMap(({ Sid, Action }, at) =>
    Action.map((action) => ({
      permission: `${Sid} ${action}`,
      isNeeded: uses.some((use) => use.action === action && use.allowedBy.length === 1 && use.allowedBy[0] === at),
    })),
  );
  expect(needed.filter(({ isNeeded }) => !isNeeded).map(({ permission }) => permission)).toEqual([]);
}

const PLACE = { corpus: 'docs', id: 'one' };
const document = documentOf(PLACE.id, 'Some text.');
const file = { filename: 'note.txt', body: Buffer.from('A note.') };

test('the roles of an installation do all their work with the printed policies, and use every permission in them', async () => {
  const keys = new Map<string, string>();
  for (const name of ['acme', 'late', 'stopped', 'hidden', 'gone', 'failing'])
    keys.set(name, await installation.tenant(name));
  await installation.operator.putTenant('acme', { keepOriginals: true });
  await using producer = await createProducer(settingsOf('producer'));
  await using second = await createProducer(settingsOf('producer'));
  await using reader = await createReader(settingsOf('reader'));
  await using operator = await createOperator(settingsOf('operator'));

  // Content under the tenants' keys, then under the platform key, by two processes with shared data keys.
  const enqueue = async (by: typeof producer, tenant: string, more: object = {}): Promise<string> =>
    (await by.enqueueIndex({ tenant, corpus: PLACE.corpus, document, ...more })).jobId;
  await expect(enqueue(producer, 'nobody')).rejects.toMatchObject({ code: 'TENANT_UNKNOWN' });
  const { faults, requests } = installation.services.s3;
  // The second of two parallel requests with content deletes its own again.
  const hanging = faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault: { kind: 'hang' } });
  const twins = Promise.all([producer, second].map((by) => enqueue(by, 'acme', { idempotencyKey: 'k' })));
  await Promise.all([
    twins,
    eventually(() => requests.count({ method: 'PUT', prefix: 'intake/' }) === 2).then(() => hanging.clear()),
  ]);
  const jobs = [(await twins)[0]!, await enqueue(second, 'late')];
  jobs.push(await enqueue(second, 'acme'));
  const parked = [await enqueue(producer, 'stopped')];
  await enqueue(producer, 'gone');
  disable(keys.get('hidden')!);
  parked.push(await enqueue(producer, 'hidden'), await enqueue(second, 'hidden'));
  disable(keys.get('stopped')!);
  installation.services.kms.forget(keys.get('gone')!);

  const worker = await startWorker(settingsOf('worker'), { host: '127.0.0.1' });
  try {
    // Two of them are for one document.
    for (const job of jobs) expect(await installation.end(job)).toMatch(/^(?:done|superseded)$/);
    const upload = async (): Promise<string> => {
      const { jobId } = await producer.enqueueUpload({
        tenant: 'acme',
        corpus: PLACE.corpus,
        documentId: 'file',
        ...file,
      });
      return installation.end(jobId);
    };
    expect([await upload(), await upload()]).toEqual(['done', 'done']);
    // Parked by the worker, probed, and released when the keys are enabled again.
    await eventually(async () => (await installation.operator.gates()).total >= 3);
    for (const name of ['stopped', 'hidden']) installation.services.kms.enable(keys.get(name)!);
    for (const job of parked) expect(await installation.end(job)).toMatch(/^(?:done|superseded)$/);

    // Reads, and a key first found disabled or failing by the reader.
    const place = { tenant: 'acme', ...PLACE };
    expect(await textOf(reader, 'acme', PLACE.corpus, PLACE.id)).toContain('Sometext');
    await expect(reader.metadata({ ...place, id: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const original = await reader.original({ ...place, id: 'file' });
    for await (const _chunk of original.body);
    expect((await reader.list({ tenant: 'acme', corpus: PLACE.corpus })).documents).toHaveLength(2);
    const { jobId } = await producer.enqueueDelete({ ...place, id: 'file' });
    expect(await installation.end(jobId)).toBe('done');
    await reencrypt(operator);
    disable(keys.get('late')!);
    await expect(reader.metadata({ ...place, tenant: 'late' })).rejects.toMatchObject({ code: 'KEY_DISABLED' });
  } finally {
    await worker.stop();
  }

  await readWithFailingKey();
  await sweep();

  // The command line: creates and stops tenants, probes keys, discards dead letters, and does the work of producer and
  // reader.
  await operator.putTenant('new', { plan: 'free' });
  await operator.pauseTenant('new', 'a test');
  for await (const _name of operator.tenantNames());
  for await (const _corpus of operator.corpora('acme'));

  for (const role of ['worker', 'producer', 'reader'] as const) expectExactly(role);
  expect(usesOf('operator').filter(({ allowedBy }) => allowedBy.length === 0)).toEqual([]);
});

/** Another key for a tenant: stored objects are re-encrypted, twice, as after the last use of the former key. */
async function reencrypt(operator: Operator): Promise<void> {
  const message = await readAll((await installation.store.get(`documents/acme/docs/${objectName(PLACE.id)}`))!);
  await putIntake(installation.store, newIntakePlace(String(installation.settings.SEALDEX_QUEUE)), message);
  const next = installation.services.kms.createKey();
  await operator.setKey('acme', next);
  const moved = async (): Promise<boolean> => ((await operator.reencryption('acme')).passBegun ?? 0) > Date.now();
  await eventually(moved);
  const file = await installation.operator.tenant('acme');
  const long = { ...file, reencryption: { ...file.reencryption, since: 0 } };
  await installation.store.put('tenants/acme.json', Buffer.from(JSON.stringify(long)), {});
  await operator.reencrypt('acme');
  await eventually(async () => (await operator.reencryption('acme')).state === 'done');
  expect([...(await operator.countKeys('acme', new AbortController().signal)).keys()]).toEqual([next]);
}

/** Reads that need further calls: a denied past period, and a key that fails for half a minute. */
async function readWithFailingKey(): Promise<void> {
  const clock = new AheadClock();
  const work: Parameters<typeof openResources<void>>[2] = async (resources, stack) => {
    const reader = createReaderFrom({ ...resources, gates: resources.keyAccess.gates }, () => {});
    const { keyArn } = await resources.tenants.get('stopped');
    const fail = (fault: KmsFault, times?: number) =>
      installation.services.kms.faults.set({
        match: { key: keyArn, operation: 'Decrypt' },
        fault,
        ...(times === undefined ? {} : { times }),
      });
    const read = async (aheadMs: number): Promise<unknown> => {
      clock.advance(aheadMs);
      await resources.keyAccess.gates.tick();
      return reader.metadata({ tenant: 'stopped', ...PLACE });
    };
    fail(KMS_ERRORS.accessDenied, 1);
    await expect(read(2 * HOUR_MS)).rejects.toMatchObject({ code: 'PERIOD_DENIED' });
    const failing = fail(KMS_ERRORS.internal);
    await expect(read(31_000)).rejects.toMatchObject({ code: 'KMS_FAILED' });
    await expect(read(31_000)).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    failing.clear();
    await stack.release();
  };
  await openResources(settingsOf('reader'), 'prompt', work, { clock });
}

/**
 * Hourly and daily maintenance tasks of a worker: re-encryption is resumed; content without a job and old tombstones are
 * deleted.
 */
async function sweep(): Promise<void> {
  const jobId = newJobId();
  await putIntake(
    installation.store,
    newIntakePlace(String(installation.settings.SEALDEX_QUEUE), { jobId }),
    Buffer.from('x'),
  );
  const clock = new AheadClock();
  await openResources(
    settingsOf('worker'),
    'patient',
    async (resources, stack) => {
      // Calls of a worker during a pause, or before it treats a key as destroyed.
      expect(await resources.keyAccess.platformKeyWorks()).toBe(true);
      const { config, metrics, redis, store } = resources;
      const keys = redisKeys(config.queue);
      const mark = JSON.stringify({ v: 1, id: '0'.repeat(32), at: systemClock.now() - DAY_MS });
      await redis.set(keys.birth, mark);
      await installation.store.put(`system/${config.queue}/birth`, Buffer.from(mark), {});
      const object = objectName('removed');
      await deleteDocument(installation.store, systemClock, {
        tenant: 'acme',
        corpus: 'docs',
        object,
        revision: 1,
        jobId,
      });
      const deps = { config, clock, log: silentLog, metrics, redis, keys, store };
      const { signal } = new AbortController();
      const queue = stack.add(openQueue(config, redis, systemClock), (each) => each.close());
      const reencryption = createReencryption({ ...resources, queueName: config.queue, keys, queue });
      await reencryptionResumeTask({
        store,
        log: silentLog,
        restartStalled: (tenant) => reencryption.restartStalled(tenant),
      }).run(signal);
      await revisionFloor(deps).run(signal);
      for (const days of [20, 2, 200]) {
        clock.advance(days * DAY_MS);
        await intakeSweep(deps).run(signal);
        await tombstoneSweep(deps).run(signal);
      }
      expect((await store.list('intake/acme/')).objects.filter(({ key }) => key.includes(jobId))).toEqual([]);
      expect(await installation.store.head(`documents/acme/docs/${object}`)).toBeUndefined();
      await stack.release();
    },
    { clock: systemClock },
  );
}
