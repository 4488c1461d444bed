// A tenant's jobs are added to its backlog once, removed once, and limited for that tenant only.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { estimateBytes } from '../../src/queue/backlog/backlog.ts';
import type { ReservationRequest } from '../../src/queue/backlog/backlog.ts';
import { recount, repairBacklog } from '../../src/queue/backlog/recount.ts';
import { writeStatusNote } from '../../src/queue/bull/status-notes.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { eventually } from '../support/eventually.ts';
import { dataOf, openFixture, type Fixture } from './fixture.ts';

let fixture: Fixture;

beforeEach(async () => {
  fixture = await openFixture({ SEALDEX_TENANT_BACKLOG_JOBS: 3, SEALDEX_TENANT_BACKLOG_BYTES: 1_048_576 });
});
afterEach(() => fixture[Symbol.asyncDispose]());

const share = (tenant = 'acme', bytes = 2000): ReservationRequest => ({ queue: 'index', tenant, bytes });
const backlog = (): Promise<Record<string, string>> => fixture.redis.hgetall(fixture.keys.backlogJobs);
const bytes = (): Promise<Record<string, string>> => fixture.redis.hgetall(fixture.keys.backlogBytes);

const answers = async (...requests: ReservationRequest[]): Promise<string[]> =>
  (await fixture.queue.reserve(requests)).map((reservation) =>
    reservation instanceof SealdexError ? reservation.code : 'stamped',
  );

const refusal = (call: Promise<unknown>): Promise<SealdexError | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => error as SealdexError,
  );

describe('the limit', () => {
  it('for jobs rejects only its tenant, with a retry time, and takes no revision', async () => {
    const full = Array.from({ length: 5 }, () => share());
    expect(await answers(...full, share('other'))).toEqual([
      'stamped',
      'stamped',
      'stamped',
      'TENANT_BACKLOG_FULL',
      'TENANT_BACKLOG_FULL',
      'stamped',
    ]);
    const last = await fixture.redis.get(fixture.keys.revision);
    const [reservation] = await fixture.queue.reserve([share()]);
    expect(reservation).toMatchObject({ code: 'TENANT_BACKLOG_FULL', retryAfterMs: 60_000 });
    expect(await fixture.redis.get(fixture.keys.revision)).toBe(last);
    expect(await backlog()).toEqual({ acme: '3', other: '1' });
  });

  it('for bytes rejects only its tenant; a single job is never too large', async () => {
    expect(await answers(share('large', 2_000_000), share('large', 1), share('acme', 1_000_000))).toEqual([
      'stamped',
      'TENANT_BACKLOG_FULL',
      'stamped',
    ]);
    expect(await answers(share('acme', 48_576), share('acme', 1))).toEqual(['stamped', 'TENANT_BACKLOG_FULL']);
    expect(await bytes()).toEqual({ large: '2000000', acme: '1048576' });
  });

  it('leaves no marker of a rejected idempotency key', async () => {
    await answers(share(), share(), share());
    const id = newJobId();
    expect(await refusal(fixture.queue.mark(id, share()))).toMatchObject({
      code: 'TENANT_BACKLOG_FULL',
      retryAfterMs: 60_000,
    });
    expect(await fixture.redis.exists(fixture.keys.marker(id))).toBe(0);
    await fixture.queue.takeBack(newJobId(), share(), false);
    expect(await fixture.queue.mark(id, share())).toMatchObject({ kind: 'made' });
  });
});

describe('an idempotency key', () => {
  it('is counted once, regardless of the requests before its job is added', async () => {
    const id = newJobId();
    expect((await fixture.queue.mark(id, share())).kind).toBe('made');
    for (const _ of [1, 2, 3, 4]) {
      const { kind, priority } = await fixture.queue.mark(id, share());
      expect({ kind, isStamped: priority > 0 }).toEqual({ kind: 'unconfirmed', isStamped: true });
    }
    expect(await backlog()).toEqual({ acme: '1' });
  });

  it('is counted again by the next request after its job is rejected', async () => {
    const id = newJobId();
    await fixture.queue.mark(id, share());
    await fixture.queue.takeBack(id, share(), true);
    await fixture.queue.takeBack(id, share(), true);
    expect(await backlog()).toEqual({});
    expect((await fixture.queue.mark(id, share())).kind).toBe('unconfirmed');
    expect(await backlog()).toEqual({ acme: '1' });
  });

  it('belongs to the first request that claims it, until that one is rejected', async () => {
    const id = newJobId();
    const claim = (fingerprint: string): Promise<string | undefined> => fixture.queue.claim(id, 'index', fingerprint);
    expect(await claim('early')).toBeUndefined();
    expect(await fixture.redis.exists(fixture.keys.marker(id))).toBe(0);
    const { priority, fingerprint } = await fixture.queue.mark(id, share());
    expect(fingerprint).toBeUndefined();
    expect([await claim('one'), await claim('other'), await fixture.queue.fingerprint(id)]).toEqual([
      'one',
      'one',
      'one',
    ]);
    await fixture.queue.takeBack(id, share(), true);
    expect(await claim('other')).toBe('other');
    await fixture.queue.add(id, dataOf(), priority);
    await fixture.queue.takeBack(id, share(), true);
    expect(await fixture.queue.mark(id, share())).toMatchObject({ kind: 'unconfirmed', fingerprint: 'other' });
    await fixture.queue.confirm(id);
    expect(await fixture.queue.mark(id, share())).toMatchObject({ kind: 'confirmed', fingerprint: 'other' });
  });

  it('gets no fingerprint if its job is in the queue without one', async () => {
    const id = newJobId();
    const { priority } = await fixture.queue.mark(id, share());
    await fixture.queue.add(id, dataOf(), priority);
    expect(await fixture.queue.claim(id, 'index', 'late')).toBeUndefined();
    expect(await fixture.queue.fingerprint(id)).toBeUndefined();
  });

  it('finds its job counted if it is requested again after its marker expired', async () => {
    const id = newJobId();
    const { priority } = await fixture.queue.mark(id, share());
    await fixture.queue.add(id, dataOf(), priority);
    await fixture.redis.del(fixture.keys.marker(id));
    expect((await fixture.queue.mark(id, share())).kind).toBe('made');
    await fixture.queue.takeBack(id, share(), true);
    expect(await backlog()).toEqual({ acme: '1' });
  });

  it('needs no slot in a full backlog once confirmed', async () => {
    const id = newJobId();
    await fixture.queue.mark(id, share());
    await fixture.queue.confirm(id);
    await answers(share(), share(), share());
    expect(await fixture.queue.mark(id, share())).toMatchObject({ kind: 'confirmed', priority: 0 });
  });
});

describe('a job', () => {
  const ENDS: [Outcome, number][] = [
    [{ kind: 'done' }, 0],
    [{ kind: 'done', superseded: true }, 0],
    [{ kind: 'dead', code: 'CONTENT_TAMPERED' }, 1],
    [{ kind: 'park', code: 'KEY_DISABLED', gate: 'acme:0' }, 1],
    [{ kind: 'retry', code: 'STORE_FAILED', spendsAttempt: true }, 1],
  ];

  it.each(ENDS)('counts or not after the outcome %j', async (outcome, left) => {
    const id = await fixture.add();
    await fixture.add({ tenant: 'other' });
    expect(await backlog()).toEqual({ acme: '1', other: '1' });
    await fixture.worker(async (job) => (job.id === id ? outcome : { kind: 'dead', code: 'JOB_INVALID' }));
    await eventually(async () => !['queued', 'active'].includes((await fixture.queue.status(id)).state));
    expect(await backlog()).toEqual({ ...(left === 0 ? {} : { acme: '1' }), other: '1' });
    expect(Object.keys(await bytes()).length).toBe(left + 1);
  });

  it('leaves the backlog once, regardless of repeated notes, and counts again as a dead letter', async () => {
    const id = await fixture.add();
    await fixture.add();
    const writeNote = (state: 'done' | 'superseded' | 'dead') =>
      writeStatusNote(fixture.redis, fixture.keys, systemClock, id, 60_000, { state });
    await writeNote('done');
    await writeNote('done');
    await writeNote('superseded');
    expect([await backlog(), await bytes()]).toEqual([{ acme: '1' }, { acme: '2000' }]);
    await writeNote('dead');
    await writeNote('dead');
    expect(await backlog()).toEqual({ acme: '2' });
  });

  it('stays counted if the writer of the note has lost its lock', async () => {
    const id = await fixture.add();
    const lock = { entry: fixture.bull.toKey(id), token: 'gone' };
    expect(await writeStatusNote(fixture.redis, fixture.keys, systemClock, id, 60_000, { state: 'done' }, lock)).toBe(
      false,
    );
    expect(await backlog()).toEqual({ acme: '1' });
  });

  it('not added by the producer is never counted, and changes no other count when it is done', async () => {
    const counted = await fixture.add();
    const id = newJobId();
    await fixture.bull.add('index', dataOf(), { jobId: id });
    await fixture.worker(async (job) => (job.id === id ? { kind: 'done' } : { kind: 'dead', code: 'JOB_INVALID' }));
    await eventually(async () => (await fixture.queue.status(id)).state === 'done');
    await eventually(async () => (await fixture.queue.status(counted)).state === 'dead');
    expect(await backlog()).toEqual({ acme: '1' });
  });

  it('removes the mean of the bytes, so that the last one leaves no rest', async () => {
    await answers(share('acme', 1000), share('acme', 5000), share('acme', 3001));
    const ids = [newJobId(), newJobId(), newJobId()];
    for (const id of ids) {
      await fixture.queue.add(id, dataOf(), 1);
      await writeStatusNote(fixture.redis, fixture.keys, systemClock, id, 60_000, { state: 'done' });
    }
    expect([await backlog(), await bytes()]).toEqual([{}, {}]);
  });
});

describe('the recount', () => {
  const offBy = (jobs: number, tenant = 'acme') => fixture.redis.hincrby(fixture.keys.backlogJobs, tenant, jobs);
  const minuteLater = () => fixture.redis.del(fixture.keys.lease('backlog-look'));

  it('empties the backlog of an empty queue', async () => {
    await offBy(5);
    expect(await repairBacklog(fixture.redis, fixture.keys)).toBe('emptied');
    expect(await backlog()).toEqual({});
  });

  it('corrects the counts, wherever the jobs are', async () => {
    await using large = await openFixture();
    const { redis, keys, bull, queue } = large;
    const ids: string[] = [];
    for (let n = 0; n < 8; n++) ids.push(await large.add({ tenant: `t-${n % 2}` }));
    await large.worker(async ({ id }) =>
      id === ids[0] ? { kind: 'dead', code: 'JOB_INVALID' } : { kind: 'park', code: 'KEY_DISABLED', gate: 'acme:0' },
    );
    await eventually(async () => (await queue.counts()).index.delayed + (await queue.counts()).index.dead === 8);
    await bull.pause();
    for (let n = 0; n < 600; n++) await large.add({ tenant: 'many' });
    await bull.add('index', dataOf({ tenant: 'foreign' }), { jobId: newJobId() });
    const right = { 't-0': '4', 't-1': '4', many: '600' };
    expect(await redis.hgetall(keys.backlogJobs)).toEqual(right);
    await redis.hmset(keys.backlogJobs, { 't-0': 1, many: 700, ghost: 9 });
    await redis.hset(keys.backlogBytes, 'ghost', 9000);
    await redis.hdel(keys.backlogJobs, 't-1');
    await recount(redis, keys);
    expect(await redis.hgetall(keys.backlogJobs)).toEqual(right);
    const sizes = await redis.hgetall(keys.backlogBytes);
    expect(Object.keys(sizes).sort()).toEqual(['many', 't-0', 't-1']);
    expect(Math.min(...Object.values(sizes).map(Number))).toBeGreaterThan(4 * 1000);
  });

  it('runs once an hour, or at once if far too much is counted, and is checked once a minute', async () => {
    await fixture.add();
    expect(await repairBacklog(fixture.redis, fixture.keys)).toBe('recounted');
    await offBy(50_000);
    expect(await repairBacklog(fixture.redis, fixture.keys)).toBe('nothing');
    await minuteLater();
    expect(await repairBacklog(fixture.redis, fixture.keys)).toBe('recounted');
    expect(await backlog()).toEqual({ acme: '1' });
    await offBy(900);
    await minuteLater();
    expect(await repairBacklog(fixture.redis, fixture.keys)).toBe('nothing');
    expect(await backlog()).toEqual({ acme: '901' });
  });
});

it('the estimated size of a job depends on whether its content will be in S3', () => {
  expect(estimateBytes(1024, 4096)).toBe(Math.ceil((1624 * 4) / 3) + 1500);
  expect(estimateBytes(5000, 4096)).toBe(1500);
  expect(estimateBytes(10, 0)).toBe(1500);
});
