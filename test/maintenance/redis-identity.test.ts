// The Redis identity: created once, copied once, and any difference is noticed.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { matchingRedisIdentity, isSince, ensureRedisIdentity } from '../../src/maintenance/redis-identity.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;
const depsOf = () => ({ ...fixture.deps, queue: fixture.deps.config.queue });
const keyInS3 = (): string => `system/${fixture.deps.config.queue}/birth`;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

describe('the Redis identity', () => {
  it('is created in Redis, copied into the bucket, and kept', async () => {
    expect(await ensureRedisIdentity(depsOf())).toBe(true);
    const first = await matchingRedisIdentity(depsOf());
    expect(first).toEqual({
      v: 1,
      id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      at: fixture.deps.clock.now(),
    });
    fixture.deps.clock.advance(5000);
    expect(await ensureRedisIdentity(depsOf())).toBe(true);
    expect(await matchingRedisIdentity(depsOf())).toEqual(first);
  });

  it('is created once, regardless of the number of starting workers', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ensureRedisIdentity(depsOf())));
    expect(answers).toEqual(Array.from({ length: 10 }, () => true));
  });

  it('differs after the loss of Redis, for every worker started later', async () => {
    await ensureRedisIdentity(depsOf());
    await fixture.redis.del(fixture.deps.keys.birth);
    expect(await ensureRedisIdentity(depsOf())).toBe(false);
    expect(await ensureRedisIdentity(depsOf())).toBe(false);
    expect(await matchingRedisIdentity(depsOf())).toBeUndefined();
  });

  it('matches again after the operator has removed the copy and a worker has started', async () => {
    await ensureRedisIdentity(depsOf());
    await fixture.redis.del(fixture.deps.keys.birth);
    await ensureRedisIdentity(depsOf());
    await fixture.deps.store.remove(keyInS3());
    expect(await matchingRedisIdentity(depsOf())).toBeUndefined();
    expect(await ensureRedisIdentity(depsOf())).toBe(true);
  });

  it.each([
    ['is empty', ''],
    ['has no JSON', '{'],
    ['is of another version', JSON.stringify({ v: 2, id: 'a'.repeat(32), at: 1 })],
    ['has an id of another form', JSON.stringify({ v: 1, id: 'x', at: 1 })],
    ['is large', 'x'.repeat(100_000)],
  ])('differs if its copy %s, and the copy is not overwritten', async (_, text) => {
    await fixture.deps.store.put(keyInS3(), Buffer.from(text), {});
    expect(await ensureRedisIdentity(depsOf())).toBe(false);
    expect((await fixture.deps.store.head(keyInS3()))?.bytes).toBe(text.length);
  });

  it('makes something younger than Redis only if the clocks leave no doubt', () => {
    const identity = { v: 1, id: 'a'.repeat(32), at: 1_000_000_000_000 } as const;
    expect(isSince(identity, identity.at - 1)).toBe(false);
    expect(isSince(identity, identity.at + 600_000)).toBe(false);
    expect(isSince(identity, identity.at + 600_001)).toBe(true);
  });
});

it('a worker writes the identity to Redis and bucket at its start, and starts despite a difference', async () => {
  const settings = { ...fixture.services.settings, SEALDEX_PORT: 0 };
  const errors: string[] = [];
  const logger = { ...silentLog, error: (_: object, message: string) => errors.push(message) };
  const start = () => startWorker(settings, { host: '127.0.0.1', logger });
  await (await start()).stop();
  const first = await matchingRedisIdentity(depsOf());
  expect(first).toBeDefined();
  await fixture.redis.del(fixture.deps.keys.birth);
  expect(await (await start()).stop()).toMatchObject({ isClean: true });
  expect(errors).toEqual([
    expect.stringMatching(/^Redis does not match the bucket\..* check that REDIS_URL .* sealdex recover$/),
  ]);
  expect(await fixture.redis.get(fixture.deps.keys.birth)).not.toContain(first?.id);
  expect(await matchingRedisIdentity(depsOf())).toBeUndefined();
});
