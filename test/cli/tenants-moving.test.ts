// What is said of a tenant whose key was changed: of each state, and of what is left in the queue when all is moved.
import { describe, expect, test } from 'vitest';
import type { Operator, ReencryptionProgress, TenantFile } from '../../src/app.ts';
import { movingLines, movingOf } from '../../src/cli/tenants-moving.ts';
import { systemClock } from '../../src/clock.ts';
import { PLATFORM } from '../../src/names.ts';

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
    const [first, second] = movingLines({ file: fileOf(from, to), progress: MOVING });
    expect(first).toBe(
      `The KMS key of tenant acme was changed 2026-11-30T00:00:00Z; until all is moved, the rest of what is stored ${words}`,
    );
    expect(second).toBe('This pass: 2 moved, 1 were under the current key already, 0 cannot be read.');
  });
});

describe('when all is moved', () => {
  const progress: ReencryptionProgress = { state: 'done', since: SINCE, doneAt: SINCE, counts: COUNTS };
  const operatorWith = (status: object): Operator =>
    ({
      reencryption: async () => progress,
      status: async () => ({ index: {}, upload: {}, parkedByTenant: [], deadByTenant: [], ...status }),
    }) as unknown as Operator;
  const linesWith = async (status: object): Promise<string | undefined> =>
    movingLines(await movingOf(operatorWith(status), fileOf(OLD, NEW)))[1];

  test('nothing needs the former key any more', async () => {
    expect(await linesWith({})).toBe(`Nothing of it needs the former key ${OLD} any more.`);
  });

  test('but for parked jobs and dead letters of the tenant, which carry content under it', async () => {
    const others = { tenant: 'globex', jobs: 9, letters: 9 };
    const left = await linesWith({
      parkedByTenant: [others, { tenant: 'acme', jobs: 1 }],
      deadByTenant: [others, { tenant: 'acme', letters: 2 }, { tenant: 'acme', letters: 1 }],
    });
    expect(left).toMatch(new RegExp(`^1 parked job and 3 dead letters of it may need the former key ${OLD} yet: `));
  });

  test('and for jobs that wait since before the change', async () => {
    const oldestWaitingMs = systemClock.now() - SINCE + 1000;
    expect(await linesWith({ index: { oldestWaitingMs } })).toMatch(/^Jobs from before the change wait in the queue/);
    expect(await linesWith({ index: { oldestWaitingMs: 1000 } })).toMatch(/^Nothing of it needs/);
  });

  test('and for what could not be read', () => {
    const lines = movingLines({
      file: fileOf(OLD, NEW),
      progress: { ...progress, counts: { ...COUNTS, unreadable: 1 } },
    });
    expect(lines).toEqual([
      `The KMS key of tenant acme was changed 2026-11-30T00:00:00Z; 1 object could not be read: still under the former key ${OLD}. Once that key reads them: sealdex tenants reencrypt acme`,
    ]);
  });
});
