// A tenant's KMS key is changed while one of its objects is unreadable: the rest is re-encrypted, and the failed object is
// counted and reported.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { objectName } from '../../src/runtime/names.ts';
import { keyPolicy } from '../../src/policies/key-policy.ts';
import { readAll } from '../../src/store/store.ts';
import { SETTLED_MS } from '../../src/tenants/tenants.ts';
import { linesOf } from '../cli/output.ts';
import { run } from '../cli/run.ts';
import { denialsOnPage } from '../docs/key-page.ts';
import { eventually } from '../support/eventually.ts';
import { headerOf } from '../support/message.ts';
import { openInstallation, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const DAY_MS = 86_400_000;
const OWNER = '111122223333';
const OUR_ACCOUNT = '444455556666';
const OURS = `arn:aws:iam::${OUR_ACCOUNT}:role/sealdex`;

let installation: Installation;

beforeAll(async () => {
  installation = await openInstallation({ AWS_ACCESS_KEY_ID: OURS });
});
afterAll(() => installation[Symbol.asyncDispose]());

const worker = (daysAgo = 0) => {
  const clock = { ...systemClock, now: () => systemClock.now() - daysAgo * DAY_MS };
  return startWorker(installation.settings, { host: '127.0.0.1', clock });
};

const policyOf = (tenant: string) => keyPolicy({ principal: OURS, tenant }, OWNER);
const objectOf = (tenant: string, id: string): string => `documents/${tenant}/docs/${objectName(id)}`;

async function headerAt(tenant: string, id: string): Promise<Awaited<ReturnType<typeof headerOf>>> {
  const stored = await installation.store.get(objectOf(tenant, id));
  return headerOf(await readAll(stored!));
}

async function index(tenant: string, id: string): Promise<void> {
  const document = documentOf(id, `Text of ${id}.`);
  const { jobId } = await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document });
  expect(await installation.end(jobId)).toBe('done');
}

/** As if the key had been changed long enough ago for every process to have the change. */
async function changedLongAgo(tenant: string): Promise<void> {
  const file = await installation.operator.tenant(tenant);
  const reencryption = { ...file.reencryption, since: file.reencryption!.since - SETTLED_MS };
  await installation.store.put(`tenants/${tenant}.json`, Buffer.from(JSON.stringify({ ...file, reencryption })), {});
}

/** Re-encrypts from the first object to the last, and returns the counts. */
async function moved(tenant: string) {
  await installation.operator.reencrypt(tenant);
  return eventually(async () => {
    const { state, counts } = await installation.operator.reencryption(tenant);
    return state === 'done' && counts && counts.current + counts.moved + counts.unreadable > 1 && counts;
  });
}

const shown = async (tenant: string): Promise<string[]> =>
  linesOf((await run(['tenants', 'show', tenant], { settings: installation.settings })).stderr);

/** Each makes the document unreadable, and returns a function that repairs it. */
const CORRUPTIONS: Record<string, (tenant: string, id: string, arn: string) => Promise<() => Promise<void>>> = {
  async denied(tenant, id, arn) {
    const { Version, Statement } = policyOf(tenant);
    const day = (await headerAt(tenant, id)).context['period']!.slice(0, '2026-11-23'.length);
    const denial = denialsOnPage(OUR_ACCOUNT, day)[0];
    installation.services.kms.setPolicy(arn, { Version, Statement: [...Statement, denial] });
    return async () => installation.services.kms.setPolicy(arn, policyOf(tenant));
  },
  async tampered(tenant, id) {
    const key = objectOf(tenant, id);
    const stored = await installation.store.get(key);
    const [bytes, metadata] = [await readAll(stored!), { ...stored!.metadata }];
    const changed = Buffer.from(bytes);
    changed[changed.length - 1]! ^= 1;
    await installation.store.put(key, changed, { metadata });
    return async () => void (await installation.store.put(key, bytes, { metadata }));
  },
};

test.each(Object.entries(CORRUPTIONS))(
  'an object %s stays under the former key, as tenants show reports, until it can be read',
  async (what, corrupt) => {
    const tenant = `tenant-${what}`;
    const arn = await installation.tenant(tenant);
    installation.services.kms.setPolicy(arn, policyOf(tenant));
    {
      await using _then = await worker(3);
      await index(tenant, 'first');
    }
    const repair = await corrupt(tenant, 'first', arn);
    const next = installation.services.kms.createKey();
    installation.services.kms.setPolicy(next, policyOf(tenant));
    {
      await using _now = await worker();
      await index(tenant, 'second');
      await installation.operator.setKey(tenant, next);
      await eventually(async () => (await headerAt(tenant, 'second')).arn === next);
      await changedLongAgo(tenant);
      expect(await moved(tenant)).toEqual({ current: 1, moved: 0, changed: 0, unreadable: 1 });
    }
    expect((await headerAt(tenant, 'first')).arn).toBe(arn);
    const sentence = `^The KMS key of tenant ${tenant} was changed .*\\b1 .*could not be decrypted .*${arn}`;
    // A page of an earlier pass may still wait in the queue, and is then reported.
    expect((await shown(tenant))[0]).toMatch(new RegExp(sentence));
    expect(await installation.operator.gates()).toMatchObject({ total: 0 });

    await repair();
    // A process does not retry a denied period for half a minute.
    await using _later = await worker();
    await installation.operator.reencrypt(tenant);
    await eventually(async () => (await headerAt(tenant, 'first')).arn === next);
    expect(await moved(tenant)).toEqual({ current: 2, moved: 0, changed: 0, unreadable: 0 });
    expect((await shown(tenant)).join()).not.toContain('could not be decrypted');
  },
  60_000,
);
