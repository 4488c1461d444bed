// Counts of parked jobs at many gates.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { countParked } from '../../src/queue/parked/parked-counts.ts';
import { closeRedis, openRedis, queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { removeKeys, testRedisUrl } from '../support/redis.ts';
import { recordCommands } from '../support/sent-commands.ts';

test('the parked jobs of 250 gates are counted by three commands, in the order of the gates', async () => {
  await using opened = new AsyncDisposableStack();
  const keys = redisKeys(`t-${randomBytes(6).toString('hex')}`);
  opened.defer(() => removeKeys(testRedisUrl(), keys.prefix));
  const redis = opened.adopt(await openRedis({ redisUrl: testRedisUrl() }, 'patient'), closeRedis);
  const gates = Array.from({ length: 250 }, (_, at) => `tenant-${at}:key`);
  const [index, upload] = [queueKeys(keys, 'index'), queueKeys(keys, 'upload')];
  await redis.zadd(index.parked(gates[0]!), 5, 'one', 4, 'other');
  await redis.zadd(upload.parked(gates[0]!), 3, 'third');
  await redis.zadd(upload.parked(gates[249]!), 7, 'last');
  // The first run sends the text of the script.
  await countParked(redis, keys, gates.slice(0, 1));
  const names: string[] = [];
  const counts = await countParked(
    recordCommands(redis, ({ name }) => void names.push(name)),
    keys,
    gates,
  );
  expect(names).toEqual(['evalsha', 'evalsha', 'evalsha']);
  expect(counts).toHaveLength(250);
  expect([counts[0], counts[1], counts[249]]).toEqual([{ jobs: 3, oldest: 3 }, { jobs: 0 }, { jobs: 1, oldest: 7 }]);
});
