// What is said of a tenant whose key was changed: of each state, and of what is left in the queue when all is moved.
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

describe('while it moves', () => {
  test.each([
    [
      'own to own',
      OLD,
      NEW,
      `is under the former key ${OLD}: disabling the present key alone does not revoke it. Keep both enabled.`,
    ],
    ['platform to own', PLATFORM, NEW, 'is under the platform key: the tenant cannot revoke it, only we can.'],
    ['own to platform', OLD, PLATFORM, `is under the former key ${OLD}: keep that key enabled.`],
  ])('%s: what the tenant cannot revoke yet is said', (_, from, to, words) => {
    const [first, second] = reencryptionLines({ file: fileOf(from, to), progress: MOVING });
    expect(first).toBe(
      `The KMS key of tenant acme was changed 2026-11-30T00:00:00Z; until all is moved, the rest of what is stored ${words}`,
    );
    expect(second).toBe('This pass: 2 moved, 1 were under the current key already, 0 cannot be read.');
  });
});

describe('when all is moved', () => {
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

  test('nothing needs the former key any more', () => {
    expect(linesOf({})[1]).toBe(`Nothing of it needs the former key ${OLD} any more.`);
  });

  test('but for jobs in the queue, which carry content under it', () => {
    expect(linesOf({ queued: 1 })[1]).toMatch(
      /^1 job of it is in the queue, waiting, parked or dead\. Those from before /,
    );
    expect(linesOf({ queued: 2 })[1]).toMatch(
      new RegExp(
        `^2 jobs of it are in the queue.* from before 2026-11-30T00:00:00Z may need the former key ${OLD} yet: `,
      ),
    );
  });

  test('and for what could not be read, by what the end of the pass has said and not by what a lost record has', () => {
    expect(linesOf({ left: 1 })).toEqual([
      `The KMS key of tenant acme was changed 2026-11-30T00:00:00Z; 1 object could not be read: still under the former key ${OLD}. Once that key reads them: sealdex tenants reencrypt acme`,
    ]);
  });
});
