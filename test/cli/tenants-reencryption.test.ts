// Output for a tenant with a changed key: each state, and the jobs left in the queue after re-encryption.
import { describe, expect, test } from 'vitest';
import type { ReencryptionProgress, TenantFile } from '../../src/app/app.ts';
import { reencryptionLines } from '../../src/cli/tenants-reencryption.ts';
import { PLATFORM } from '../../src/runtime/names.ts';

const arnOf = (id: string): string => `arn:aws:kms:us-west-2:111122223333:key/${id}`;
const [OLD, NEW] = [arnOf('old'), arnOf('new')];
const SINCE = Date.UTC(2026, 10, 30);
const COUNTS = { current: 1, moved: 2, changed: 0, unreadable: 0 };

const fileOf = (from: string, to: string): TenantFile =>
  ({
    tenant: 'acme',
    ...(to === PLATFORM ? {} : { kmsKeyArn: to }),
    formerKeyArns: [from === PLATFORM ? arnOf('platform') : from],
    history: [{ change: 'key', from, to }],
  }) as unknown as TenantFile;

const MOVING: ReencryptionProgress = { state: 'moving', since: SINCE, passBegun: SINCE, counts: COUNTS };

describe('during re-encryption', () => {
  test.each([
    [
      'own to own',
      OLD,
      NEW,
      `the former key ${OLD}. Disabling only the current key does not revoke access. Keep both enabled.`,
    ],
    ['platform to own', PLATFORM, NEW, 'the platform key. The tenant cannot revoke access to those objects.'],
    ['own to platform', OLD, PLATFORM, `the former key ${OLD}. Keep that key enabled.`],
  ])('the keys that the tenant must keep enabled are printed: %s', (_, from, to, words) => {
    const [first, second] = reencryptionLines({ file: fileOf(from, to), progress: MOVING });
    expect(first).toBe(
      `The KMS key of tenant acme was changed at 2026-11-30T00:00:00Z. Until re-encryption finishes, some objects are still encrypted under ${words}`,
    );
    expect(second).toBe('This pass: 2 re-encrypted, 1 already current, 0 unreadable.');
  });
});

describe('after re-encryption', () => {
  const DONE: ReencryptionProgress = {
    state: 'done',
    since: SINCE,
    doneAt: SINCE,
    settledAt: SINCE,
    left: 0,
    queued: 0,
  };
  const linesOf = (progress: Partial<ReencryptionProgress>): string[] =>
    reencryptionLines({ file: fileOf(OLD, NEW), progress: { ...DONE, ...progress } });

  test('the tenant needs no former key', () => {
    expect(linesOf({})[1]).toBe(`Tenant acme no longer needs the former key ${OLD}.`);
  });

  test('the tenant needs the former key for jobs in the queue with content under it', () => {
    expect(linesOf({ queued: 1 })[1]).toMatch(/^1 job is still queued, parked or dead\. Jobs created before /);
    expect(linesOf({ queued: 2 })[1]).toMatch(
      new RegExp(
        `^2 jobs are still queued.* before 2026-11-30T00:00:00Z may contain content encrypted under the former key ${OLD}\\. `,
      ),
    );
  });

  test('the tenant needs the former key for objects that failed decryption, by the count of the finished pass', () => {
    expect(linesOf({ left: 1 })).toEqual([
      `The KMS key of tenant acme was changed at 2026-11-30T00:00:00Z. 1 object could not be decrypted and remains under the former key ${OLD}. When that key works again: sealdex tenants reencrypt acme`,
    ]);
  });
});
