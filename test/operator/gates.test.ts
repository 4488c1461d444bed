// Gates as an operator sees and changes them, with real workers, Redis, S3 and KMS.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { takeLease } from '../../src/runtime/lease.ts';
import { GATES_LISTED } from '../../src/operator/gates.ts';
import type { GateRecord } from '../../src/parking/gate-record.ts';
import { readGate, replaceGate } from '../../src/parking/gate-storage.ts';
import { queueKeys, redisKeys, type RedisKeys } from '../../src/runtime/redis.ts';
import { metricsOf, openInstallation, type Installation } from '../journey/installation.ts';
import { changeTenantFile } from '../support/change-tenant-file.ts';
import { documentOf } from '../support/documents.ts';
import { codeOf, refusalOf } from '../producer/fixture.ts';
import { eventually } from '../support/eventually.ts';

/** Only the test probes. */
const LATE: Settings = { SEALDEX_PROBE_MIN_MS: 600_000, SEALDEX_PROBE_MAX_MS: 3_600_000 };

let installation: Installation;
let keys: RedisKeys;
let worker: RunningWorker;

beforeAll(async () => {
  installation = await openInstallation(LATE);
  keys = redisKeys(loadConfig(installation.settings, {}).queue);
  worker = await startWorker(installation.settings, { host: '127.0.0.1' });
});

afterAll(async () => {
  await worker.stop();
  await installation[Symbol.asyncDispose]();
});

async function enqueue(tenant: string, count = 1, prefix = 'doc'): Promise<string[]> {
  const jobs = Array.from({ length: count }, (_, at) =>
    installation.producer.enqueueIndex({
      tenant,
      corpus: 'docs',
      document: documentOf(`${prefix} ${at}`, `Text ${at}.`),
    }),
  );
  return (await Promise.all(jobs)).map(({ jobId }) => jobId);
}

const stateOf = async (jobId: string): Promise<string> => {
  const { state, code } = await installation.producer.status(jobId);
  return [state, code].join(' ').trim();
};

const parkedWith = (jobIds: readonly string[], code: string): Promise<true> =>
  eventually(async () => {
    for (const job of jobIds) expect(await stateOf(job)).toBe(`parked ${code}`);
    return true;
  });

const gateOf = async (tenant: string) => (await installation.operator.gates({ tenant })).gates[0];

const cryptoCalls = (key: string): number =>
  installation.services.kms.counts.count({ operation: 'GenerateDataKey', key }) +
  installation.services.kms.counts.count({ operation: 'Decrypt', key });

/** A tenant with a disabled KMS key and the given number of parked jobs. */
async function parkedTenant(tenant: string, count = 2): Promise<{ key: string; jobs: string[] }> {
  const key = await installation.tenant(tenant);
  installation.services.kms.disable(key);
  const jobs = await enqueue(tenant, count);
  await parkedWith(jobs, 'KEY_DISABLED');
  return { key, jobs };
}

const recordOf = (tenant: string, keyArn: string, more: Partial<GateRecord> = {}): GateRecord => ({
  ...keyRef(tenant, keyArn),
  state: 'shut',
  code: 'KEY_DISABLED',
  since: Date.now(),
  codeSince: Date.now(),
  wasCurrent: true,
  probes: 0,
  goodProbes: 0,
  nextProbe: Date.now() + 3_600_000,
  ...more,
});

const put = (record: GateRecord) =>
  replaceGate(installation.redis, keys, gateId(record), 0, { record, isPublished: true });

describe('the list of gates', () => {
  test('has for a shut gate its jobs, the KMS error, the responsible party and the commands; status counts its jobs', async () => {
    const before = Date.now();
    const { key } = await parkedTenant('told', 3);
    const { gates, total } = await installation.operator.gates({ tenant: 'told' });
    expect(total).toBe(1);
    const [gate] = gates;
    expect(gate).toMatchObject({
      tenant: 'told',
      keyArn: key,
      state: 'shut',
      code: 'KEY_DISABLED',
      jobs: 3,
      reason: 'DisabledException',
      whoActs: 'tenant',
      commands: [`aws kms enable-key --key-id ${key} --region us-west-2`],
    });
    expect(gate?.requestId).toMatch(/^[\w-]+$/);
    for (const time of [gate?.since, gate?.oldest]) expect(time).toBeGreaterThanOrEqual(before);
    expect(gate?.nextProbe).toBeGreaterThan(Date.now());
    expect((await installation.operator.status()).parkedByTenant).toContainEqual({
      tenant: 'told',
      jobs: 3,
      oldest: gate?.oldest,
    });
    expect(await installation.operator.gates({ keyArn: key })).toEqual({ gates, total });
    expect(await installation.operator.gates({ tenant: 'nobody' })).toEqual({ gates: [], total: 0 });
  });

  test('has keys to be deleted soonest first, draining gates last, and no open one', async () => {
    const key = (n: number): string => `arn:aws:kms:us-west-2:111122223333:key/order-${n}`;
    const day = 86_400_000;
    await put(recordOf('order', key(1), { state: 'draining', since: 1 }));
    await put(recordOf('order', key(2), { state: 'open', since: 1 }));
    await put(recordOf('order', key(3), { since: 2 }));
    await put(recordOf('order', key(4), { since: 1 }));
    await put(recordOf('order', key(5), { code: 'KEY_PENDING_DELETION', deletesAt: Date.now() + 9 * day }));
    await put(recordOf('order', key(6), { code: 'KEY_PENDING_DELETION', deletesAt: Date.now() + 2 * day }));
    const { gates } = await installation.operator.gates({ tenant: 'order' });
    expect(gates.map(({ keyArn }) => Number(keyArn.split('-').at(-1)))).toEqual([6, 5, 4, 3, 1]);
    expect(gates.at(-1)).toMatchObject({ whoActs: 'none', commands: [] });
    expect(gates.at(-1)).not.toHaveProperty('nextProbe');
  });

  test('is cut after a thousand, with the total', async () => {
    const records = Array.from({ length: GATES_LISTED + 5 }, (_, at) =>
      recordOf('many', `arn:aws:kms:us-west-2:111122223333:key/many-${at}`, { nextProbe: Date.now() + 3_600_000 }),
    );
    await Promise.all(records.map(put));
    const { gates, total } = await installation.operator.gates({ tenant: 'many' });
    expect([gates.length, total]).toEqual([GATES_LISTED, GATES_LISTED + 5]);
    const ids = records.map(({ keyArn }) => gateId(keyRef('many', keyArn)));
    await installation.redis.hdel(keys.gates, ...ids);
    await installation.redis.incr(keys.gateEpoch);
    await eventually(async () => (await installation.operator.gates({ tenant: 'many' })).total === 0);
  });
});

describe('probe', () => {
  test('opens the gate after the second success with a working key, and releases the jobs', async () => {
    const { key, jobs } = await parkedTenant('mended');
    installation.services.kms.enable(key);
    const first = await installation.operator.probe('mended', key);
    expect(first).toMatchObject({ said: 'ok', isBusy: false, gate: { state: 'shut', jobs: 2 } });
    // Unless a worker has made the second one in between.
    await installation.operator.probe('mended', key);
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
    // The last job may be done before the release has checked that it was the last.
    expect(await eventually(async () => (await gateOf('mended')) === undefined)).toBe(true);
  });

  test('keeps the gate shut with a failing key, and updates its error and request id', async () => {
    const { key, jobs } = await parkedTenant('worse');
    const before = await gateOf('worse');
    installation.services.kms.scheduleDeletion(key, { days: 7 });
    const answer = await installation.operator.probe('worse', key);
    expect(answer).toMatchObject({ said: 'KEY_PENDING_DELETION', gate: { state: 'shut', probes: 1, jobs: 2 } });
    expect(answer.gate?.deletesAt).toBeGreaterThan(Date.now());
    expect(answer.gate?.commands).toEqual([
      `aws kms cancel-key-deletion --key-id ${key} --region us-west-2`,
      `aws kms enable-key --key-id ${key} --region us-west-2`,
    ]);
    expect(answer.gate?.requestId).toMatch(/^[\w-]+$/);
    expect(answer.gate?.requestId).not.toBe(before?.requestId);
    expect(answer.gate?.since).toBe(before?.since);
    for (const job of jobs) expect(await stateOf(job)).toContain('parked');
  });

  test('does nothing while another process probes the key', async () => {
    const { key } = await parkedTenant('busy', 1);
    const calls = cryptoCalls(key);
    const lease = await takeLease(installation.redis, keys.lease(`gate:${gateId(keyRef('busy', key))}`), 60_000);
    expect(await installation.operator.probe('busy', key)).toMatchObject({
      isBusy: true,
      gate: { state: 'shut', probes: 0 },
    });
    expect(cryptoCalls(key)).toBe(calls);
    await lease?.free();
    expect(await installation.operator.probe('busy', key)).toMatchObject({ isBusy: false, said: 'KEY_DISABLED' });
  });

  test('calls no KMS for an open gate', async () => {
    const key = await installation.tenant('fine');
    const calls = cryptoCalls(key);
    expect(await installation.operator.probe('fine', key)).toEqual({ tenant: 'fine', keyArn: key, isBusy: false });
    expect(cryptoCalls(key)).toBe(calls);
  });
});

describe('release', () => {
  test('finishes the parked jobs of a working key without a probe', async () => {
    const { key, jobs } = await parkedTenant('let-go', 3);
    installation.services.kms.enable(key);
    const change = await installation.operator.release('let-go', key);
    expect(change).toMatchObject({ changed: true });
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
  });

  test('parks the jobs of a failing key again, and loses none', async () => {
    const { key, jobs } = await parkedTenant('too-soon', 3);
    const before = await readGate(installation.redis, keys, gateId(keyRef('too-soon', key)));
    expect((await installation.operator.release('too-soon', key)).changed).toBe(true);
    await eventually(async () => {
      const gate = await readGate(installation.redis, keys, gateId(keyRef('too-soon', key)));
      return gate.epoch > before.epoch + 1 && gate.record?.state === 'shut';
    });
    await parkedWith(jobs, 'KEY_DISABLED');
    installation.services.kms.enable(key);
    await installation.operator.release('too-soon', key);
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
  });

  test('changes nothing for an open gate, or one shut by the operator', async () => {
    const key = await installation.tenant('held');
    expect(await installation.operator.release('held', key)).toEqual({ tenant: 'held', keyArn: key, changed: false });
    await installation.operator.block('held', key, 'incident');
    expect(await installation.operator.release('held', key)).toMatchObject({
      changed: false,
      gate: { code: 'KEY_BLOCKED' },
    });
  });
});

describe('block', () => {
  test('parks only the jobs of that tenant, wipes its data keys, and no probe opens the gate; unblocking finishes all', async () => {
    const key = await installation.tenant('blocked');
    await installation.operator.putTenant('sharer', { plan: 'pro', kmsKeyArn: key });
    for (const job of await enqueue('blocked')) expect(await installation.end(job)).toBe('done');
    const wipes = async (): Promise<number> =>
      (await metricsOf(worker.port, 'sealdex_key_wipes_total'))['sealdex_key_wipes_total{reason="shut"}'] ?? 0;
    const wiped = await wipes();

    const change = await installation.operator.block('blocked', key, '  incident 4711 ');
    expect(change).toMatchObject({
      changed: true,
      gate: { state: 'shut', code: 'KEY_BLOCKED', note: 'incident 4711', whoActs: 'operator' },
    });
    expect(change.gate).not.toHaveProperty('nextProbe');
    await eventually(async () => (await wipes()) > wiped);
    const calls = cryptoCalls(key);
    const jobs = await enqueue('blocked', 2, 'late');
    await parkedWith(jobs, 'KEY_BLOCKED');
    expect(await codeOf(() => installation.reader.metadata({ tenant: 'blocked', corpus: 'docs', id: 'doc 0' }))).toBe(
      'KEY_BLOCKED',
    );
    const answer = await installation.operator.probe('blocked', key);
    expect(answer).toMatchObject({ isBusy: false, gate: { state: 'shut', code: 'KEY_BLOCKED' } });
    expect(answer).not.toHaveProperty('said');
    expect(cryptoCalls(key)).toBe(calls);
    expect((await installation.operator.tenant('blocked')).blockedKeys).toMatchObject([
      { arn: key, reason: 'incident 4711' },
    ]);
    for (const job of await enqueue('sharer')) expect(await installation.end(job)).toBe('done');

    expect(await installation.operator.unblock('blocked', key)).toMatchObject({ changed: true });
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
    expect((await installation.operator.tenant('blocked')).blockedKeys).toEqual([]);
    expect(await installation.operator.unblock('blocked', key)).toMatchObject({ changed: false });
  });

  test('writes nothing for a key the tenant never had, or without a valid reason', async () => {
    const key = await installation.tenant('spared');
    const other = await installation.tenant('other');
    const before = await installation.operator.tenant('spared');
    expect(await codeOf(() => installation.operator.block('spared', other, 'why'))).toBe('NOT_FOUND');
    for (const reason of ['', '  ', 'x'.repeat(301)])
      expect(await refusalOf(() => installation.operator.block('spared', key, reason))).toMatchObject({
        code: 'DOCUMENT_INVALID',
        field: 'reason',
      });
    expect(await installation.operator.tenant('spared')).toEqual(before);
    expect(await gateOf('spared')).toBeUndefined();
  });

  test('finds all tenants with the key, and names one with an unreadable file', async () => {
    const key = await installation.tenant('one-of-two');
    await installation.operator.putTenant('two-of-two', { plan: 'pro', kmsKeyArn: key });
    await installation.store.put('tenants/broken.json', Buffer.from('{'), { condition: { absent: true } });
    try {
      const found = await Array.fromAsync(installation.operator.tenantsOf(key));
      expect(found.map(({ tenant }) => tenant)).toEqual(['broken', 'one-of-two', 'two-of-two']);
      expect(found.map(({ error }) => error?.code)).toEqual(['PLATFORM_TENANTS', undefined, undefined]);
    } finally {
      await installation.store.remove('tenants/broken.json');
    }
  });
});

describe('pause', () => {
  test('parks the jobs of a tenant on the platform key, and of no other with the platform key', async () => {
    await installation.operator.putTenant('paused', { plan: 'free' });
    await installation.operator.putTenant('beside', { plan: 'free' });
    expect(await installation.operator.pauseTenant('paused', 'incident')).toMatchObject({
      changed: true,
      gate: { state: 'shut', code: 'TENANT_PAUSED', commands: ['sealdex tenants resume paused'] },
    });
    const jobs = await enqueue('paused', 2);
    await parkedWith(jobs, 'TENANT_PAUSED');
    for (const job of await enqueue('beside')) expect(await installation.end(job)).toBe('done');
    expect(await installation.operator.resumeTenant('paused')).toMatchObject({ changed: true });
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
    expect(await installation.operator.resumeTenant('paused')).toMatchObject({ changed: false });
  });

  test('and a block end independently', async () => {
    const key = await installation.tenant('both');
    await installation.operator.block('both', key, 'first');
    await installation.operator.pauseTenant('both', 'second');
    const jobs = await enqueue('both');
    await parkedWith(jobs, 'TENANT_PAUSED');
    expect(await installation.operator.resumeTenant('both')).toMatchObject({
      gate: { state: 'shut', code: 'KEY_BLOCKED' },
    });
    expect(await installation.operator.unblock('both', key)).toMatchObject({ changed: true });
    for (const job of jobs) expect(await installation.end(job)).toBe('done');
  });

  test('without a gate, after an interruption, takes effect with the first job, which is parked once', async () => {
    const key = await installation.tenant('half');
    await changeTenantFile(installation.operator, 'half', { paused: { reason: 'cut off', since: 1000 } });
    const [job = ''] = await enqueue('half');
    await parkedWith([job], 'TENANT_PAUSED');
    const gate = await eventually(() => gateOf('half'));
    expect(gate).toMatchObject({ keyArn: key, state: 'shut', code: 'TENANT_PAUSED', note: 'cut off', jobs: 1 });
    expect((await installation.operator.job(job)).parked?.count).toBe(1);
    await installation.operator.resumeTenant('half');
    expect(await installation.end(job)).toBe('done');
  });
});

describe('parked jobs', () => {
  test('are one list over all gates, oldest first, for any page size, without deleted jobs', async () => {
    const { jobs: first } = await parkedTenant('list-a', 3);
    const { key, jobs: second } = await parkedTenant('list-b', 2);
    const third = await enqueue('list-a', 1, 'late');
    await parkedWith(third, 'KEY_DISABLED');
    await installation.redis.zadd(
      queueKeys(keys, 'index').parked(gateId(keyRef('list-b', key))),
      1,
      `j${'0'.repeat(32)}`,
    );
    const listed = new Set(['list-a', 'list-b']);
    const listOf = async (size: number) =>
      (await Array.fromAsync(installation.operator.parkedJobs({ size }))).filter(({ tenant }) => listed.has(tenant));
    const all = await listOf(100);
    expect(new Set(all.map(({ jobId }) => jobId))).toEqual(new Set([...first, ...second, ...third]));
    expect(all).toHaveLength(6);
    expect(all.at(-1)?.jobId).toBe(third[0]);
    expect(all.map(({ since }) => since)).toEqual(all.map(({ since }) => since).toSorted((one, other) => one - other));
    expect(all.find(({ jobId }) => jobId === second[0])).toEqual({
      jobId: second[0],
      tenant: 'list-b',
      keyArn: key,
      code: 'KEY_DISABLED',
      since: expect.any(Number) as number,
      count: 1,
    });
    for (const size of [1, 2, 3]) expect(await listOf(size)).toEqual(all);
    const ofB = await Array.fromAsync(installation.operator.parkedJobs({ tenant: 'list-b' }));
    expect(ofB.map(({ jobId }) => jobId).toSorted()).toEqual(second.toSorted());
  });

  test('are returned one by one with their gate', async () => {
    const { key, jobs } = await parkedTenant('shown', 1);
    expect(await installation.operator.job(jobs[0]!)).toMatchObject({
      state: 'parked',
      code: 'KEY_DISABLED',
      attempts: 0,
      parked: { count: 1, gate: gateId(keyRef('shown', key)) },
      gate: { keyArn: key, state: 'shut', whoActs: 'tenant' },
    });
  });
});
