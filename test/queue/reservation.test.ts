// Revisions only rise, and one idempotency key is one marker, with parallel requests and any clocks.
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { readNote, writeStatusNote } from '../../src/queue/bull/status-notes.ts';
import {
  confirm,
  mark as markOf,
  reserve as reservationsOf,
  type Marker,
} from '../../src/queue/fair-share/reservation.ts';
import type { ReadFloor } from '../../src/queue/fair-share/revision-counter.ts';
import { queueKeys, redisKeys, type QueueKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { testServices, type TestServices } from '../support/services.ts';

const LIFE_MS = 60_000;
const LIMITS = { tenantBacklogJobs: 1_000_000, tenantBacklogBytes: 2 ** 40 };
const SHARE = { tenant: 'acme', bytes: 2000 };

let services: TestServices;
let producers: Redis[];
let redis: Redis;
let keys: QueueKeys;

beforeAll(async () => {
  services = await testServices();
  producers = Array.from({ length: 4 }, () => new Redis(services.redisUrl));
  redis = producers[0]!;
  keys = queueKeys(redisKeys(String(services.settings.SEALDEX_QUEUE)), 'index');
});
beforeEach(() => redis.del(keys.revision));
afterAll(async () => {
  for (const producer of producers) producer.disconnect();
  await services[Symbol.asyncDispose]();
});

/** As in a bucket without a floor. */
const noFloor: ReadFloor = async () => ({ storeNow: Date.now() });

/** The first of `count` revisions; the test fails unless all of them are consecutive. */
async function reserveFirst(
  from: Redis,
  names: QueueKeys,
  clock: Clock,
  count: number,
  readFloor: ReadFloor = noFloor,
): Promise<number> {
  const requests = Array.from({ length: count }, () => SHARE);
  const reservations = await reservationsOf({ redis: from, keys: names, clock, limits: LIMITS, readFloor }, requests);
  const revisions = reservations.map((one) => ('revision' in one ? one.revision : Number.NaN));
  const first = revisions[0] ?? Number.NaN;
  expect(revisions).toEqual(Array.from({ length: count }, (_, n) => first + n));
  return first;
}

/** A marker without its priority, which fair-share.test.ts covers. */
async function mark(
  from: Redis,
  names: QueueKeys,
  clock: Clock,
  id: string,
  lifeMs: number,
): Promise<Omit<Marker, 'priority'>> {
  const { priority: _, ...marker } = await markOf(
    { redis: from, keys: names, clock, limits: LIMITS, readFloor: noFloor },
    id,
    lifeMs,
    SHARE,
  );
  return marker;
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error instanceof SealdexError ? error.code : String(error)),
  );

const lastRevision = async (): Promise<number> => Number(await redis.get(keys.revision));
const aheadOf = (ms: number): number => (Date.now() + ms) * 1000;

describe('a revision', () => {
  it('is the Redis time in microseconds, with 16 digits', async () => {
    const revision = await reserveFirst(redis, keys, systemClock, 1);
    expect(String(revision)).toMatch(/^\d{16}$/);
    expect(Number.isSafeInteger(revision)).toBe(true);
    expect(Math.abs(revision / 1000 - Date.now())).toBeLessThan(60_000);
    expect(await redis.get(keys.revision)).toBe(String(revision));
  });

  it('keeps its last digit, in Redis and in the result', async () => {
    const ahead = aheadOf(30_000);
    await redis.set(keys.revision, ahead);
    for (let n = 1; n <= 20; n++) expect(await reserveFirst(redis, keys, systemClock, 1)).toBe(ahead + n);
    expect(await redis.get(keys.revision)).toBe(String(ahead + 20));
  });

  it('rises strictly for each of several producers at once, and no two ranges overlap', async () => {
    const ranges = (
      await Promise.all(
        producers.map(async (producer, index) => {
          const mine: { first: number; count: number }[] = [];
          for (let n = 0; n < 60; n++) {
            const count = 1 + ((n * 7 + index) % 16);
            mine.push({ first: await reserveFirst(producer, keys, systemClock, count), count });
          }
          const firsts = mine.map(({ first }) => first);
          expect(firsts).toEqual([...new Set(firsts)].sort((a, b) => a - b));
          return mine;
        }),
      )
    ).flat();
    const all = ranges.flatMap(({ first, count }) => Array.from({ length: count }, (_, n) => first + n));
    expect(new Set(all).size).toBe(all.length);
    expect(await lastRevision()).toBe(Math.max(...all));
  });

  it('keeps rising when the Redis clock jumps back', async () => {
    // As after a jump forward by 50 s and back.
    const ahead = aheadOf(50_000);
    await redis.set(keys.revision, ahead);
    const [bulk, next] = [
      await reserveFirst(redis, keys, systemClock, 100),
      await reserveFirst(redis, keys, systemClock, 1),
    ];
    expect([bulk, next]).toEqual([ahead + 1, ahead + 101]);
  });

  it('restarts from the clock when Redis has lost it', async () => {
    const before = await reserveFirst(redis, keys, systemClock, 1);
    await redis.del(keys.revision);
    expect(await reserveFirst(redis, keys, systemClock, 1)).toBeGreaterThan(before);
  });
});

describe('the first revision of a new Redis', () => {
  /** A floor that a Redis whose clock was ahead of that of S3 by so much has left. */
  const floorOf =
    (revision: number, leadMs: number): ReadFloor =>
    async () => ({ floor: { revision, leadMs }, storeNow: Date.now() });

  it('is higher than the floor, although the clock of this Redis is behind it', async () => {
    const last = aheadOf(48_000);
    expect(await reserveFirst(redis, keys, systemClock, 1, floorOf(last, 48_000))).toBeGreaterThan(last);
  });

  it('is higher than revisions assigned after an old floor was written', async () => {
    // The other Redis went on for an hour without a worker, and then assigned this one.
    const last = aheadOf(48_000);
    expect(await reserveFirst(redis, keys, systemClock, 1, floorOf(aheadOf(-3_600_000), 48_000))).toBeGreaterThan(last);
  });

  it('is the time of Redis if its clock is ahead of the other one', async () => {
    const revision = await reserveFirst(redis, keys, systemClock, 1, floorOf(aheadOf(-60_000), -30_000));
    expect(revision).toBeLessThan(aheadOf(10_000));
  });

  it('is not raised by a floor that no Redis can have had', async () => {
    const revision = await reserveFirst(redis, keys, systemClock, 1, floorOf(Number.MAX_SAFE_INTEGER - 1e9, 0));
    expect(revision).toBeLessThan(aheadOf(10_000));
  });

  it('fails as the floor cannot be read, and sets no counter', async () => {
    const unreadable = async (): Promise<never> => {
      throw new SealdexError('STORE_FAILED');
    };
    expect(await codeOf(reserveFirst(redis, keys, systemClock, 1, unreadable))).toBe('STORE_FAILED');
    expect(await redis.exists(keys.revision)).toBe(0);
  });

  it('is read from the floor once, by each of several producers at once', async () => {
    const last = aheadOf(48_000);
    let reads = 0;
    const counted: ReadFloor = async () => ((reads += 1), await floorOf(last, 48_000)());
    const firsts = await Promise.all(producers.map((each) => reserveFirst(each, keys, systemClock, 1, counted)));
    expect(Math.min(...firsts)).toBeGreaterThan(last);
    expect(new Set(firsts).size).toBe(producers.length);
    await reserveFirst(redis, keys, systemClock, 1, counted);
    expect(reads).toBeLessThanOrEqual(producers.length);
  });
});

describe('a clock difference', () => {
  const clockAt = (offMs: number): FakeClock => new FakeClock(Date.now() + offMs);

  it.each([-70_000, 70_000, -3_600_000, 3_600_000])(
    'at the producer of %i ms is CLOCK_SKEW, and writes nothing',
    async (offMs) => {
      const id = newJobId();
      expect(await codeOf(reserveFirst(redis, keys, clockAt(offMs), 1))).toBe('CLOCK_SKEW');
      expect(await codeOf(mark(redis, keys, clockAt(offMs), id, LIFE_MS))).toBe('CLOCK_SKEW');
      expect(await redis.exists(keys.revision, keys.marker(id))).toBe(0);
    },
  );

  it.each([-45_000, 45_000])('at the producer of %i ms is accepted', async (offMs) => {
    expect(await codeOf(reserveFirst(redis, keys, clockAt(offMs), 1))).toBe('ok');
  });

  it('in Redis, into the past, is CLOCK_SKEW until the clocks have caught up, and changes nothing', async () => {
    const ahead = aheadOf(180_000);
    await redis.set(keys.revision, ahead);
    const id = newJobId();
    expect(await codeOf(reserveFirst(redis, keys, systemClock, 1))).toBe('CLOCK_SKEW');
    expect(await codeOf(mark(redis, keys, systemClock, id, LIFE_MS))).toBe('CLOCK_SKEW');
    expect(await codeOf(mark(redis, keys, systemClock, id, LIFE_MS))).toBe('CLOCK_SKEW');
    expect(await lastRevision()).toBe(ahead);
    expect(await redis.exists(keys.marker(id))).toBe(0);
  });

  it('does not reject a marker made at the right time', async () => {
    const id = newJobId();
    const { revision } = await mark(redis, keys, systemClock, id, LIFE_MS);
    expect(await mark(redis, keys, clockAt(3_600_000), id, LIFE_MS)).toEqual({ kind: 'unconfirmed', revision });
  });
});

describe('a marker', () => {
  it('is made once, regardless of parallel requests', async () => {
    const id = newJobId();
    const markers = await Promise.all(
      Array.from({ length: 40 }, (_, n) => mark(producers[n % 4]!, keys, systemClock, id, LIFE_MS)),
    );
    expect(markers.filter(({ kind }) => kind === 'made')).toHaveLength(1);
    expect(new Set(markers.map(({ revision }) => revision)).size).toBe(1);
    expect(await lastRevision()).toBe(markers[0]?.revision);
  });

  it('is made, then unconfirmed, then confirmed, by one of several parallel calls', async () => {
    const id = newJobId();
    const { revision, kind } = await mark(redis, keys, systemClock, id, LIFE_MS);
    expect(kind).toBe('made');
    expect(await mark(redis, keys, systemClock, id, LIFE_MS)).toEqual({ kind: 'unconfirmed', revision });
    const confirmed = await Promise.all(producers.map((producer) => confirm(producer, keys, id)));
    expect(confirmed.filter(Boolean)).toHaveLength(1);
    expect(await mark(redis, keys, systemClock, id, LIFE_MS)).toEqual({ kind: 'confirmed', revision });
  });

  it('expires after its creation, not later after a request, a confirmation or the end of its job', async () => {
    const id = newJobId();
    await mark(redis, keys, systemClock, id, LIFE_MS);
    expect(await redis.pttl(keys.marker(id))).toBeGreaterThan(0);
    await redis.pexpire(keys.marker(id), 20_000);
    await mark(redis, keys, systemClock, id, LIFE_MS);
    await confirm(redis, keys, id);
    await writeStatusNote(redis, keys, systemClock, id, LIFE_MS, { state: 'done' });
    const leftMs = await redis.pttl(keys.marker(id));
    expect(leftMs > 0 && leftMs <= 20_000).toBe(true);
  });

  it('deleted before is neither confirmed nor created again', async () => {
    const id = newJobId();
    expect(await confirm(redis, keys, id)).toBe(false);
    await writeStatusNote(redis, keys, systemClock, id, LIFE_MS, { state: 'dead', code: 'DOCUMENT_INVALID' });
    expect(await redis.exists(keys.marker(id))).toBe(0);
  });

  it.each([
    [{ state: 'done' }, { state: 'done' }],
    [{ state: 'superseded' }, { state: 'superseded' }],
    [
      { state: 'dead', code: 'DOCUMENT_INVALID' },
      { state: 'dead', code: 'DOCUMENT_INVALID' },
    ],
  ] as const)('returns the outcome of its job: %j', async (note, expected) => {
    const id = newJobId();
    const { revision } = await mark(redis, keys, systemClock, id, LIFE_MS);
    await confirm(redis, keys, id);
    await writeStatusNote(redis, keys, systemClock, id, LIFE_MS, note);
    expect(await mark(redis, keys, systemClock, id, LIFE_MS)).toEqual({ kind: 'confirmed', revision, ...expected });
    expect(await readNote(redis, keys, id)).toMatchObject(expected);
  });

  it('returns an outcome of another version as unknown, without its code', async () => {
    const id = newJobId();
    const { revision } = await mark(redis, keys, systemClock, id, LIFE_MS);
    await redis.hset(keys.marker(id), 'state', 'discarded', 'code', 'toString');
    expect(await mark(redis, keys, systemClock, id, LIFE_MS)).toEqual({
      kind: 'unconfirmed',
      revision,
      state: 'unknown',
    });
    await redis.set(keys.note(id), 'discarded 1 toString');
    expect(await readNote(redis, keys, id)).toBeUndefined();
  });

  it('returns no state for a job that waits for its next attempt', async () => {
    const id = newJobId();
    await mark(redis, keys, systemClock, id, LIFE_MS);
    await writeStatusNote(redis, keys, systemClock, id, LIFE_MS, { state: 'retrying', code: 'STORE_FAILED' });
    expect(await mark(redis, keys, systemClock, id, LIFE_MS)).not.toHaveProperty('state');
    expect(await readNote(redis, keys, id)).toMatchObject({ state: 'retrying', code: 'STORE_FAILED' });
  });
});

describe('a status note', () => {
  it('has a time, and expires after the given time', async () => {
    const id = newJobId();
    const clock = new FakeClock();
    await writeStatusNote(redis, keys, clock, id, 5_000, { state: 'done' });
    expect(await readNote(redis, keys, id)).toEqual({ state: 'done', since: clock.now() });
    const leftMs = await redis.pttl(keys.note(id));
    expect(leftMs > 0 && leftMs <= 5_000).toBe(true);
  });

  it('is undefined if it is missing', async () => {
    expect(await readNote(redis, keys, newJobId())).toBeUndefined();
  });
});
