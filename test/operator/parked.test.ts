// List of parked jobs over more gates than one list of gates has.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { parkedJobs, type ParkedDeps } from '../../src/operator/parked.ts';
import { GATES_LISTED } from '../../src/operator/gates.ts';
import type { Gate } from '../../src/parking/gate-record.ts';
import { queueKey } from '../../src/queue/bull/queue-keys.ts';
import { openQueue } from '../../src/queue/bull/queues.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { closeRedis, openRedis, queueKeys, redisKeys } from '../../src/runtime/redis.ts';
import { recordCommands } from '../support/sent-commands.ts';
import { removeKeys, testRedisUrl } from '../support/redis.ts';

const KEY = 'arn:aws:kms:us-west-2:111122223333:key/shared';
const GATES = GATES_LISTED + 200;

test('parked jobs of all gates are listed, and a gate is read only when its job is next', async () => {
  await using opened = new AsyncDisposableStack();
  const config = loadConfig(
    {
      REDIS_URL: testRedisUrl(),
      SEALDEX_QUEUE: `t-${randomBytes(6).toString('hex')}`,
      SEALDEX_BUCKET: 'no-bucket',
      SEALDEX_PLATFORM_KEY_ARN: KEY,
      AWS_REGION: 'us-west-2',
    },
    {},
  );
  const keys = redisKeys(config.queue);
  opened.defer(() => removeKeys(config.redisUrl, keys.prefix));
  const redis = opened.adopt(await openRedis(config, 'patient'), closeRedis);
  const queue = opened.adopt(openQueue(config, redis, systemClock), (opening) => opening.close());
  const index = queueKeys(keys, 'index');
  const gates = Array.from({ length: GATES }, (_, at): Gate => {
    const times = { since: 1, codeSince: 1, probes: 0, goodProbes: 0, nextProbe: 1 };
    const key = keyRef(`tenant-${at}`, KEY);
    return { epoch: at + 1, record: { ...key, state: 'shut', code: 'KEY_DISABLED', wasCurrent: true, ...times } };
  });
  // The last gate has the oldest job, and the first one the youngest.
  await Promise.all(
    gates.map(async ({ record }, at) => {
      await redis.zadd(index.parked(gateId(record!)), GATES - at, `job-${at}`);
      await redis.hset(queueKey(index, `job-${at}`), 'timestamp', '1');
    }),
  );
  const deps = { redis, keys, queue, gates: { tick: async () => {}, all: () => gates } } as unknown as ParkedDeps;

  const all = await Array.fromAsync(parkedJobs(deps));
  expect(all.map(({ jobId }) => jobId)).toEqual(gates.map((_, at) => `job-${GATES - 1 - at}`));

  const names: string[] = [];
  recordCommands(redis, ({ name }) => void names.push(name));
  const { value } = await parkedJobs(deps).next();
  expect(value).toMatchObject({ jobId: `job-${GATES - 1}`, tenant: `tenant-${GATES - 1}`, since: 1 });
  expect(names.filter((name) => name === 'zrange')).toHaveLength(1);
});
