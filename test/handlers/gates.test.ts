// Gates in a worker's handler: a shut one costs no call, and content under the platform key is opened.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { readAll } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { headerOf } from '../support/message.ts';
import { KMS_FAULTS } from '../support/memory-kms.ts';
import { openHandlerFixture, type HandlerFixture } from './fixture.ts';

const tenant = 'acme';
let fixture: HandlerFixture;
let keyArn: string;

beforeEach(async () => {
  fixture = await openHandlerFixture();
  keyArn = await fixture.tenant(tenant);
});

afterEach(() => fixture[Symbol.dispose]());

const DONE = { kind: 'done' };

const refusing = (code: Code) => ({
  gates: { ...fixture.deps.gates, refusal: () => new SealdexError(code, undefined, { keyArn, since: 1 }) },
});

const deny = (operation: 'Decrypt' | 'GenerateDataKey'): void =>
  void fixture.kms.faults.set({ match: { key: keyArn, operation }, fault: KMS_FAULTS.accessDenied });

/** The key of the tenant's only document. */
async function storedUnder(): Promise<[arn: string, purpose: string | undefined]> {
  const { objects } = await fixture.deps.store.list(`documents/${tenant}/`);
  expect(objects).toHaveLength(1);
  const stored = await fixture.deps.store.get(objects[0]!.key);
  const { arn, context } = await headerOf(await readAll(stored!));
  return [arn, context['purpose']];
}

describe('a job of a shut gate', () => {
  it('is parked there without a call to KMS or S3', async () => {
    const job = await fixture.forge({ tenant, keyArn, inlineBytes: 0 });
    await fixture.deps.tenants.get(tenant);
    const { kms, bucket } = fixture;
    kms.counts.reset();
    const before = bucket.count();
    const outcome = await fixture.handle(job, { deps: refusing('KEY_DISABLED') });
    expect(outcome).toEqual({ kind: 'park', code: 'KEY_DISABLED', gate: gateId(keyRef(tenant, keyArn)) });
    expect([kms.counts.all(), bucket.count() - before]).toEqual([[], 0]);
  });

  it('becomes a dead letter if the key is destroyed, and returns if the gate is unknown', async () => {
    const job = await fixture.forge({ tenant, keyArn });
    expect(await fixture.handle(job, { deps: refusing('KEY_DESTROYED') })).toEqual({
      kind: 'dead',
      code: 'KEY_DESTROYED',
    });
    expect(await fixture.handle(job, { deps: refusing('GATE_UNKNOWN') })).toEqual({
      kind: 'retry',
      code: 'GATE_UNKNOWN',
      spendsAttempt: false,
    });
  });
});

describe('content under the platform key', () => {
  it.each([
    ['in the job', 1_000_000],
    ['in S3', 0],
  ])('%s is opened, and stored under the tenant’s key as a document', async (_, inlineBytes) => {
    const job = await fixture.forge({ tenant, keyArn, inlineBytes, isKeyShut: true });
    expect(await fixture.handle(job)).toEqual(DONE);
    expect(await storedUnder()).toEqual([keyArn, 'documents']);
  });

  it('is parked when the tenant’s key is unusable: nothing falls back to the platform key', async () => {
    const job = await fixture.forge({ tenant, keyArn, isKeyShut: true });
    fixture.kms.disable(keyArn);
    const gate = gateId(keyRef(tenant, keyArn));
    expect(await fixture.handle(job)).toEqual({ kind: 'park', code: 'KEY_DISABLED', gate });
    expect((await fixture.deps.store.list(`documents/${tenant}/`)).objects).toEqual([]);
  });

  it('for another tenant is rejected without a KMS call, and so is content under another tenant’s key', async () => {
    const other = `${tenant}-other`;
    const otherArn = await fixture.tenant(other);
    const theirs = await fixture.forge({ tenant: other, keyArn: otherArn, isKeyShut: true });
    const theirsOwn = await fixture.forge({ tenant: other, keyArn: otherArn });
    fixture.kms.counts.reset();
    for (const { id, data } of [theirs, theirsOwn])
      expect(await fixture.handle({ id, data: { ...data, tenant } })).toEqual({
        kind: 'dead',
        code: 'CONTENT_TAMPERED',
      });
    expect(fixture.kms.counts.all()).toEqual([]);
  });
});

describe('a key policy without', () => {
  it('Decrypt parks jobs encrypted by the producer', async () => {
    const job = await fixture.forge({ tenant, keyArn });
    deny('Decrypt');
    expect(await fixture.handle(job)).toEqual({
      kind: 'park',
      code: 'KEY_DENIED',
      gate: gateId(keyRef(tenant, keyArn)),
    });
  });

  it('GenerateDataKey parks jobs under the platform key in a period without a data key', async () => {
    const job = await fixture.forge({ tenant, keyArn, isKeyShut: true });
    deny('GenerateDataKey');
    expect(await fixture.handle(job)).toEqual({
      kind: 'park',
      code: 'KEY_DENIED',
      gate: gateId(keyRef(tenant, keyArn)),
    });
  });

  it('GenerateDataKey parks nothing while the period’s data key exists', async () => {
    const job = await fixture.forge({ tenant, keyArn });
    deny('GenerateDataKey');
    expect(await fixture.handle(job)).toEqual(DONE);
  });
});

describe('jobs waiting for one tenant’s key', () => {
  it('yield all but a quarter of the slots after a second, and are done when the key responds', async () => {
    const slots = Math.floor(fixture.deps.config.concurrency / 4);
    const jobs = await Promise.all(Array.from({ length: slots + 3 }, () => fixture.forge({ tenant, keyArn })));
    const hang = fixture.kms.faults.set({ match: { key: keyArn }, fault: { kind: 'hang' } });
    let over = 0;
    const outcomes = jobs.map((job) => fixture.handle(job).finally(() => (over += 1)));
    await eventually(() => over === 3);
    const deferred = { kind: 'defer', code: 'TENANT_SLOTS_FULL', afterMs: expect.any(Number) as number };
    expect(await fixture.handle(jobs[0]!)).toEqual(deferred);
    const deletion = { v: 1, kind: 'delete', tenant, corpus: 'docs', revision: 1, object: 'a'.repeat(64) };
    expect(await fixture.handle({ id: newJobId(), data: deletion })).toEqual(deferred);
    hang.clear();
    const ends = await Promise.all(outcomes);
    expect(ends.filter(({ kind }) => kind === 'done')).toHaveLength(slots);
    expect(ends.filter(({ kind }) => kind !== 'done')).toEqual([deferred, deferred, deferred]);
  });
});
