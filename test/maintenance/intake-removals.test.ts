// Pending removals: content of ended jobs is deleted, whatever fails in between, and never that of a job in the queue.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import { intakeOf, newJobId, type IndexJobData } from '../../src/jobs/jobs.ts';
import { intakeRemovals } from '../../src/maintenance/intake-removals.ts';
import { addRemoval, dueRemovals } from '../../src/queue/bull/intake-removals.ts';
import { writeStatusNote } from '../../src/queue/bull/status-notes.ts';
import { intakeName, intakePlaceOf, oldIntakeName, type IntakePlace } from '../../src/runtime/intake-key.ts';
import { queueKeys } from '../../src/runtime/redis.ts';
import { putIntake } from '../../src/store/intake.ts';
import { newIntakePlace } from '../support/intake.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from './fixture.ts';

let fixture: MaintenanceFixture;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
});
afterEach(() => fixture[Symbol.asyncDispose]());

const never = new AbortController().signal;
const drain = (): Promise<void> => intakeRemovals(fixture.deps).run(never);
const pending = (): Promise<string[]> => fixture.redis.zrange(fixture.deps.keys.intakeRemovals, '0', '-1');

/** A minute passes for all pending removals. */
async function makeDue(): Promise<void> {
  for (const name of await pending()) await fixture.redis.zadd(fixture.deps.keys.intakeRemovals, '1', name);
}

async function stored(choice: Partial<IntakePlace> = {}): Promise<IntakePlace> {
  const place = newIntakePlace(fixture.deps.config.queue, choice);
  await putIntake(fixture.deps.store, place, Buffer.from('message'));
  return place;
}

const dataOf = ({ tenant, corpus, revision, object, intake }: IntakePlace): IndexJobData => ({
  v: 1,
  kind: 'index',
  tenant,
  corpus,
  revision,
  object,
  content: { intake },
});

describe('the record of an ended job', () => {
  it.each(['done', 'superseded', 'dead', 'retrying'] as const)(
    'with the state %s adds the content only if the job no longer needs it',
    async (state) => {
      const { redis, deps } = fixture;
      const place = await stored();
      const keys = queueKeys(deps.keys, 'index');
      const content = intakeOf(deps.config.queue, place.jobId, dataOf(place));
      await writeStatusNote(redis, keys, deps.clock, place.jobId, 60_000, { state }, undefined, content);
      const isEnded = state === 'done' || state === 'superseded';
      expect(await pending()).toEqual(isEnded ? [intakeName(place)] : []);
    },
  );
});

describe('a pending removal', () => {
  it('is due a minute after the end of the job, so that the process that ended it comes first', async () => {
    const { redis, deps } = fixture;
    const place = await stored();
    await addRemoval(redis, deps.keys, place);
    expect(await dueRemovals(redis, deps.keys, 10)).toEqual([]);
    const [, due] = await redis.zrange(deps.keys.intakeRemovals, '0', '-1', 'WITHSCORES');
    const [seconds] = await redis.time();
    expect(Number(due) - Number(seconds)).toBeGreaterThan(50);
    expect(Number(due) - Number(seconds)).toBeLessThanOrEqual(60);
    await makeDue();
    expect(await dueRemovals(redis, deps.keys, 10)).toEqual([intakeName(place)]);
  });

  it('is carried out after a crash between the record and the removal, under the old key too', async () => {
    const [one, other] = [await stored(), newIntakePlace(fixture.deps.config.queue)];
    await fixture.deps.store.put(`intake/${oldIntakeName(other)}`, Buffer.from('message'), {});
    for (const place of [one, other]) await addRemoval(fixture.redis, fixture.deps.keys, place);
    await makeDue();
    await drain();
    expect(await fixture.intake()).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  it('is repeated until S3 has deleted the content', async () => {
    const places = [await stored(), await stored(), await stored()];
    for (const place of places) await addRemoval(fixture.redis, fixture.deps.keys, place);
    const fault = fixture.services.s3.faults.set({ match: { method: 'DELETE' }, fault: S3_ERRORS.accessDenied });
    for (let run = 0; run < 2; run++) {
      await makeDue();
      await expect(drain()).rejects.toMatchObject({ code: 'STORE_FAILED' });
      expect(await fixture.intake()).toHaveLength(3);
      expect((await pending()).sort()).toEqual(places.map(intakeName).sort());
      expect(await dueRemovals(fixture.redis, fixture.deps.keys, 10)).toEqual([]);
    }
    fault.clear();
    await makeDue();
    await drain();
    expect(await fixture.intake()).toEqual([]);
    expect(await pending()).toEqual([]);
  });

  it('waits while a job names the content, because its completion was not accepted', async () => {
    const name = await fixture.content();
    const unreadable = await fixture.content({ job: 'unreadable' });
    for (const each of [name, unreadable])
      await addRemoval(fixture.redis, fixture.deps.keys, intakePlaceOf(each) as IntakePlace);
    await makeDue();
    await drain();
    expect((await fixture.intake()).sort()).toEqual([name, unreadable].sort());
    expect((await pending()).sort()).toEqual([name, unreadable].sort());
    for (const each of [name, unreadable])
      await fixture.redis.del(`${fixture.deps.keys.prefix}:index:${each.split('/')[1]}`);
    await makeDue();
    await drain();
    expect(await fixture.intake()).toEqual([]);
  });

  it('is carried out if its job names other content', async () => {
    const name = await fixture.content({ job: 'other content' });
    await addRemoval(fixture.redis, fixture.deps.keys, intakePlaceOf(name) as IntakePlace);
    await makeDue();
    await drain();
    expect(await fixture.intake()).toEqual([]);
  });

  it('is dropped if its name is invalid', async () => {
    await fixture.redis.zadd(fixture.deps.keys.intakeRemovals, '1', 'no name', '1', `acme/${newJobId()}/../x`);
    await drain();
    expect(await pending()).toEqual([]);
  });

  it('is carried out in the same run beyond the first page', async () => {
    const { redis, deps } = fixture;
    const names = Array.from({ length: 1001 }, () => intakeName(newIntakePlace(deps.config.queue)));
    await redis.zadd(deps.keys.intakeRemovals, ...names.flatMap((name) => ['1', name]));
    await drain();
    expect(await pending()).toEqual([]);
  });
});
