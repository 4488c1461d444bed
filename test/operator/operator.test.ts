// Queues, processes, jobs and tenants as an operator reads them, and rejected calls.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOperator, type Operator } from '../../src/app/app.ts';
import type { Plan } from '../../src/runtime/names.ts';
import { eventually } from '../support/eventually.ts';
import { codeOf, documentOf, ended, openScene, refusalOf, type Scene } from '../producer/fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
});
afterAll(() => scene[Symbol.asyncDispose]());

const request = (id: string, more: object = {}) => ({
  tenant: 'acme',
  corpus: 'docs',
  document: documentOf(id),
  ...more,
});

describe('a filter or options with an unknown field', () => {
  const typo = { tenant: 'acme', tennant: 'acme' };
  const unknown: object = { tennant: 'acme' };

  it.each<[string, (operator: Operator) => Promise<unknown>]>([
    ['deadList', (operator) => operator.deadList(typo, { limit: 1 })],
    ['deadTally', (operator) => operator.deadTally(typo)],
    ['replay', (operator) => operator.replay(typo)],
    ['discard', (operator) => operator.discard(typo)],
    ['countCancelable', (operator) => operator.countCancelable(typo)],
    ['cancelJobs', (operator) => operator.cancelJobs(typo)],
    ['recover', (operator) => operator.recover(typo)],
    ['jobs', (operator) => operator.jobs(typo).next()],
    ['gates', (operator) => operator.gates(typo)],
    ['putTenant', (operator) => operator.putTenant('acme', { plan: 'pro', ...unknown })],
    ['sweepIntake', (operator) => operator.sweepIntake({ isDry: true, ...unknown })],
    ['setKey', (operator) => operator.setKey('acme', 'platform', unknown)],
    ['options of replay', (operator) => operator.replay({ tenant: 'acme' }, unknown)],
    ['options of discard', (operator) => operator.discard({ tenant: 'acme' }, unknown)],
    ['options of cancelJobs', (operator) => operator.cancelJobs({ tenant: 'acme' }, unknown)],
  ])('is rejected before anything changes: %s', async (_, call) => {
    expect(await refusalOf(() => call(scene.operator))).toMatchObject({ code: 'DOCUMENT_INVALID', field: 'tennant' });
  });
});

describe('status', () => {
  it('is all zero in a new installation, without an oldest job', async () => {
    expect(await scene.operator.status()).toEqual({
      queue: scene.config.queue,
      index: { waiting: 0, active: 0, delayed: 0, dead: 0 },
      upload: { waiting: 0, active: 0, delayed: 0, dead: 0 },
      processes: [],
      keys: 0,
      oldestKeyMs: 0,
      kmsCalls: {},
      parkedByTenant: [],
      platformKeyContent: { jobs: 0, bytes: 0 },
      deadByTenant: [],
    });
  });

  it('counts waiting and dead jobs, with the time of the oldest', async () => {
    const producer = await scene.producer();
    const first = await producer.enqueueIndex(request('a'));
    await producer.enqueueIndex(request('b'));
    const waiting = await scene.operator.status();
    expect(waiting.index).toMatchObject({
      waiting: 2,
      active: 0,
      dead: 0,
      oldestWaitingMs: expect.any(Number) as number,
    });
    expect(waiting.index.oldestWaitingMs).toBeGreaterThanOrEqual(0);
    const stop = await scene.work();
    await ended(producer, first.jobId);
    const dead = await producer.enqueueIndex(request('a', { ifExists: 'reject' }));
    await ended(producer, dead.jobId, 'dead');
    await eventually(async () => {
      const { waiting, active } = (await scene.operator.status()).index;
      return waiting + active === 0;
    });
    expect((await scene.operator.status()).index).toEqual({ waiting: 0, active: 0, delayed: 0, dead: 1 });
    await stop();
  });

  it('adds up the KMS calls and keys of running processes, and drops one when it ends', async () => {
    const fresh = await openScene();
    try {
      await fresh.tenant('acme');
      const [one, two] = [await fresh.producer(), await fresh.producer()];
      for (const producer of [one, two]) await producer.enqueueIndex(request('x'));
      const status = await eventually(async () => {
        const now = await fresh.operator.status();
        return now.keys === 2 && now;
      });
      expect(status.processes.map(({ role }) => role)).toEqual(['producer', 'producer']);
      expect(status.kmsCalls).toEqual({ GenerateDataKey: 1, Decrypt: 1 });
      expect(status.oldestKeyMs).toBeGreaterThan(0);
      await one[Symbol.asyncDispose]();
      expect((await fresh.operator.status()).processes).toHaveLength(1);
    } finally {
      await fresh[Symbol.asyncDispose]();
    }
  });

  it('skips invalid heartbeats', async () => {
    const root = `sealdex:{${scene.config.queue}}:processes`;
    const before = (await scene.operator.status()).processes.length;
    const invalid = [
      '{}',
      '[]',
      'null',
      '1',
      'no json',
      '{"keys":1,"oldestKeyMs":0,"kmsCalls":{}}',
      '{"keys":"1","oldestKeyMs":0,"kmsCalls":{}}',
      '{"keys":1,"oldestKeyMs":0,"kmsCalls":{"a":"b"}}',
    ];
    for (const [index, text] of invalid.entries()) {
      await scene.redis.zadd(root, Date.now(), `invalid-${index}`);
      await scene.redis.set(`${root}:invalid-${index}`, text);
    }
    const { processes, keys } = await scene.operator.status();
    expect(processes).toHaveLength(before);
    expect(Number.isFinite(keys)).toBe(true);
  });
});

describe('a job', () => {
  it('is returned with its state, its position and its attempts, and none of its content in plain text', async () => {
    const producer = await scene.producer();
    const { jobId, revision } = await producer.enqueueIndex(request('secret-id', { corpus: 'asked' }));
    const facts = await scene.operator.job(jobId);
    expect(facts).toMatchObject({
      state: 'queued',
      attempts: 0,
      data: { tenant: 'acme', corpus: 'asked', revision, kind: 'index' },
    });
    expect(facts.since).toBeGreaterThan(0);
    expect(JSON.stringify(facts)).not.toContain('secret-id');
  });

  it('without an entry, or with an invalid id, is unknown', async () => {
    for (const id of [`j${'0'.repeat(32)}`, '', '*', 'index', '../x'])
      expect(await scene.operator.job(id)).toEqual({ state: 'unknown' });
  });
});

describe('a tenant', () => {
  it('is listed in order', async () => {
    for (const name of ['zebra', 'ant', 'bee_-=']) await scene.operator.putTenant(name, { plan: 'free' });
    expect(await Array.fromAsync(scene.operator.tenantNames())).toEqual(['acme', 'ant', 'bee_-=', 'zebra']);
  });

  it('can be created once and then changed, and other processes see the change', async () => {
    const kmsKeyArn = scene.services.kms.createKey();
    expect(await scene.operator.putTenant('made', { plan: 'pro', kmsKeyArn })).toMatchObject({ made: true });
    expect(await scene.operator.putTenant('made', { plan: 'enterprise' })).toMatchObject({
      made: false,
      file: { plan: 'enterprise', kmsKeyArn },
    });
    expect(await scene.operator.tenant('made')).toMatchObject({ plan: 'enterprise', kmsKeyArn });
  });

  it('with an invalid name or plan is rejected with the field, and nothing is written', async () => {
    const before = await scene.keysOf('tenants/');
    for (const name of ['', '../x', 'a/b', 'x'.repeat(51), 'a b', 'a.json'])
      expect(await refusalOf(() => scene.operator.putTenant(name, { plan: 'pro' }))).toMatchObject({
        code: 'DOCUMENT_INVALID',
        field: 'tenant',
      });
    for (const plan of ['gold', '', 'toString'])
      expect(await refusalOf(() => scene.operator.putTenant('new', { plan: plan as Plan }))).toMatchObject({
        code: 'DOCUMENT_INVALID',
        field: 'plan',
      });
    expect(await refusalOf(() => scene.operator.putTenant('acme', { whenKeyShut: 'wait' as 'park' }))).toMatchObject({
      code: 'DOCUMENT_INVALID',
      field: 'whenKeyShut',
    });
    expect(await codeOf(() => scene.operator.putTenant('new', {}))).toBe('TENANT_UNKNOWN');
    expect(
      await codeOf(() => scene.operator.putTenant('new', { plan: 'free', kmsKeyArn: scene.services.kms.createKey() })),
    ).toBe('TENANT_KEY_INVALID');
    expect(await codeOf(() => scene.operator.putTenant('new', {}))).toBe('TENANT_UNKNOWN');
    expect(await codeOf(() => scene.operator.tenant('../acme'))).toBe('DOCUMENT_INVALID');
    expect(await codeOf(() => scene.operator.tenant('nobody'))).toBe('TENANT_UNKNOWN');
    expect(await scene.keysOf('tenants/')).toEqual(before);
  });
});

it('an operator can be closed twice, and rejects later calls', async () => {
  const operator = await createOperator(scene.settings);
  await Promise.all([operator[Symbol.asyncDispose](), operator[Symbol.asyncDispose]()]);
  expect(await codeOf(() => operator.status())).toBe('REDIS_FAILED');
  expect(await codeOf(() => operator.tenant('acme'))).toBe('STORE_FAILED');
});
