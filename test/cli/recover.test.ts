// `sealdex recover` and `sealdex intake sweep` after a loss of Redis: what they print, their JSON and exit codes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/runtime/config.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { coreOf, openScene, type Scene } from './fixture.ts';
import { jsonOf } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
let scene: Scene;
let redis: Redis;
let queue: string;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0 });
  const config = loadConfig(scene.settings, {});
  redis = new Redis(config.redisUrl);
  ({ queue } = config);
});
afterAll(async () => {
  folder[Symbol.dispose]();
  redis.disconnect();
  await scene[Symbol.asyncDispose]();
});

const recover = (...args: string[]) => scene.sealdex(['recover', ...args]);
const sweep = (...args: string[]) => scene.sealdex(['intake', 'sweep', ...args]);

// In this order: the sweep needs the identity that the recovery writes.
describe('recover', () => {
  test('prints counts by tenant, and changes nothing with --dry-run', async () => {
    for (const [tenant, ids] of [
      ['acme', ['a', 'b']],
      ['globex', ['c']],
    ] as const) {
      writeFileSync(join(folder.path, 'docs.ndjson'), `${ids.map((id) => coreOf(id)).join('\n')}\n`);
      const args = ['index', '--tenant', tenant, '--corpus', 'docs', 'docs.ndjson'];
      expect((await scene.sealdex(args, { cwd: folder.path })).code).toBe(0);
    }
    await redis.del(...(await redis.keys(`sealdex:{${queue}}*`)));
    const counts = 'acme  2 jobs\nglobex  1 job\n';
    expect(await recover('--dry-run')).toMatchObject({
      code: 0,
      stdout: `${counts}would add 3 jobs, 0 already in the queue or finished\n`,
    });
    expect(await redis.keys(`sealdex:{${queue}}:index:j*`)).toEqual([]);
    expect(await sweep('--dry-run')).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('run sealdex recover first') as string,
    });
  });

  test('adds the jobs of a tenant, then the others, and reports that the Redis is accepted', async () => {
    const one = await recover('--tenant', 'globex', '--json');
    expect(one).toMatchObject({ code: 0, stderr: '' });
    const counts = { seen: 1, present: 0, added: 1, backlogFull: 0, tooOld: 0, unreadable: 0 };
    expect(jsonOf(one.stdout)).toEqual([{ ...counts, tenants: [{ tenant: 'globex', jobs: 1 }], isAccepted: false }]);
    const all = await recover();
    expect(all).toMatchObject({ code: 0, stdout: 'acme  2 jobs\nadded 2 jobs, 1 already in the queue or finished\n' });
    expect(all.stderr).toContain('This Redis now belongs to the bucket, and sweeps run again.');
    expect((await recover()).stdout).toBe('added 0 jobs, 3 already in the queue or finished\n');
    expect((await recover('--older-than', '1h')).stdout).toBe('added 0 jobs, 0 already in the queue or finished\n');
  });

  test('exits with 75 while another recovery runs', async () => {
    const lease = redisKeys(queue).lease('recover');
    await redis.set(lease, 'another', 'PX', 60_000);
    expect(await recover()).toMatchObject({ code: 75, stdout: '' });
    await redis.del(lease);
  });
});

describe('intake sweep', () => {
  test('needs either --dry-run or --take', async () => {
    for (const args of [[], ['--dry-run', '--take', '1']])
      expect(await sweep(...args)).toMatchObject({ code: 64, stdout: '' });
  });

  test('prints that all content belongs to jobs', async () => {
    expect(await sweep('--dry-run')).toMatchObject({
      code: 0,
      stdout: '0 objects can be deleted\n',
      stderr: 'All 3 objects in intake belong to jobs or are new.\n',
    });
    expect(await sweep('--take', '5')).toMatchObject({ code: 0, stdout: 'deleted 0 objects of 0\n' });
  });
});
