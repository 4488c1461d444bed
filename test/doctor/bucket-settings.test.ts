// The checks of bucket settings, on the double of the bucket.
import { beforeEach, expect, test } from 'vitest';
import { bucketSettingsChecks } from '../../src/doctor/bucket-settings.ts';
import { examine, type NamedCheckResult } from '../../src/doctor/finding.ts';
import type { LifecycleRule } from '../../src/store/bucket-settings.ts';
import { FakeClock } from '../support/clock.ts';
import { MemoryBucketSettings } from '../support/memory-bucket-settings.ts';
import { STORE_FAULTS } from '../support/memory-store.ts';

let bucket: MemoryBucketSettings;

beforeEach(() => {
  bucket = new MemoryBucketSettings();
});

async function findings(): Promise<Record<'versions' | 'lifecycle' | 'encryption', NamedCheckResult>> {
  const checks = bucketSettingsChecks(bucket.connect());
  const [versions, lifecycle, encryption] = await Promise.all(checks.map((check) => examine(new FakeClock(), check)));
  return { versions: versions!, lifecycle: lifecycle!, encryption: encryption! };
}

const ALL: LifecycleRule = { id: 'r1', prefix: '', isForTagged: false, movesTo: [] };

test('versioning causes a warning, with the prefixes of older versions without removal', async () => {
  bucket.set({ versioning: 'on' });
  expect((await findings()).versions).toMatchObject({
    status: 'warn',
    observed:
      'Versioning is on: deleted and replaced documents stay in the bucket as older versions, without a limit under documents/, intake/, originals/, system/, tenants/.',
  });
});

test('versioning with a lifecycle rule causes a warning, with the days until removal', async () => {
  bucket.set({ versioning: 'suspended', lifecycle: [{ ...ALL, dropsVersionsAfterDays: 7 }] });
  const { versions } = await findings();
  expect(versions.status).toBe('warn');
  expect(versions.observed).toMatch(/^Versioning is suspended: .*, for at most 7d\.$/);
});

test.each<[string, Partial<LifecycleRule>, RegExp | undefined]>([
  ['all objects', { expiresAfterDays: 30 }, /deletes objects after 30d under documents\/, intake\/, originals\//],
  [
    'one prefix of sealdex',
    { prefix: 'documents/', expiresAfterDays: 30 },
    /^Rule r1 deletes objects after 30d under documents\/\.$/,
  ],
  ['part of one', { prefix: 'intake/acme/', expiresAfterDays: 30 }, /under intake\/\.$/],
  ['a prefix and a tag', { prefix: 'documents/', isForTagged: true, expiresAfterDays: 30 }, undefined],
  ['another prefix', { prefix: 'logs/', expiresAfterDays: 30 }, undefined],
  ['older versions only', { dropsVersionsAfterDays: 7 }, undefined],
  ['storage that cannot be read', { movesTo: ['GLACIER'] }, /moves objects to GLACIER/],
  ['storage that can be read', { movesTo: ['STANDARD_IA'] }, undefined],
  [
    'a date',
    { prefix: 'tenants/', expiresAt: new Date('2027-01-31') },
    /^Rule r1 deletes objects on 2027-01-31 under tenants\/\.$/,
  ],
])('a rule for %s causes a warning only if it affects objects of sealdex', async (_, rule, observed) => {
  bucket.set({ lifecycle: [{ ...ALL, ...rule }] });
  const { lifecycle } = await findings();
  expect(lifecycle.status).toBe(observed ? 'warn' : 'ok');
  expect(lifecycle.observed).toMatch(observed ?? /^No lifecycle rule/);
});

test('a bucket without rules passes', async () => {
  expect((await findings()).lifecycle).toMatchObject({ status: 'ok', observed: 'No rules.' });
});

test.each([
  ['AES256', 'ok'],
  ['none', 'ok'],
  ['aws:kms bucket-key', 'warn'],
] as const)('encryption %s is reported as %s', async (encryption, expected) => {
  bucket.set({ encryption });
  expect((await findings()).encryption.status).toBe(expected);
});

test.each([
  ['AccessDenied', STORE_FAULTS.accessDenied],
  ['MethodNotAllowed', STORE_FAULTS.methodNotAllowed],
  ['NotImplemented', STORE_FAULTS.notImplemented],
])('settings that cannot be read because of %s cause warnings, never failures', async (reason, fault) => {
  bucket.faults.set({ fault });
  const { versions, lifecycle, encryption } = await findings();
  expect([versions.status, lifecycle.status, encryption.status]).toEqual(['warn', 'warn', 'ok']);
  expect(versions).toMatchObject({
    observed: `Could not read the setting (STORE_FAILED ${reason}).`,
    remedy: 'Check it manually, or allow s3:GetBucketVersioning.',
  });
  expect(encryption.observed).toMatch(/^Could not read the setting/);
});

test('settings that cannot be read for another reason cause failures', async () => {
  bucket.faults.set({ fault: STORE_FAULTS.internal });
  const { versions, lifecycle, encryption } = await findings();
  expect([versions.status, lifecycle.status, encryption.status]).toEqual(['fail', 'fail', 'fail']);
});
