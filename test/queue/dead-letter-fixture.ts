// Dead letters for tests: created by a worker, or put into the failed set directly, with a given time.
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import type { Code } from '../../src/runtime/errors.ts';
import { newJobId, type IndexJobData } from '../../src/jobs/jobs.ts';
import { createLetterTasks, type LetterTasks } from '../../src/queue/dead-letters/maintenance.ts';
import type { IntakePlace } from '../../src/runtime/intake-key.ts';
import { eventually } from '../support/eventually.ts';
import { dataOf, type Fixture } from './fixture.ts';

export const never: AbortSignal = new AbortController().signal;

/** Data of a job enqueued just now. */
const youngRevision = (): number => Date.now() * 1000;

export interface Death {
  readonly code?: Code;
  readonly data?: Partial<IndexJobData>;
}

/** Creates dead letters one after the other, as the worker does; returns their ids. */
export async function failJobs(fixture: Fixture, deaths: readonly Death[]): Promise<string[]> {
  const codes = new Map<string, Code>();
  const ids: string[] = [];
  for (const { code = 'CONTENT_MISSING', data = {} } of deaths) {
    const id = newJobId();
    codes.set(id, code);
    ids.push(id);
    await fixture.queue.add(id, dataOf({ revision: youngRevision(), ...data }), 1);
  }
  const worker = await fixture.worker(async ({ id }) => ({ kind: 'dead', code: codes.get(id) ?? 'INTERNAL' }));
  await eventually(async () => {
    const states = await Promise.all(ids.map((id) => fixture.bull.getJobState(id)));
    return states.every((state) => state === 'failed');
  });
  await worker.stop();
  return ids;
}

export interface DeadLetterSpec {
  readonly jobId?: string;
  readonly tenant?: string;
  readonly since: number;
  /** The reason that BullMQ would write. */
  readonly reason?: string;
  readonly data?: string;
}

/** Puts dead letters into the failed set as BullMQ does, and not into the index. */
export async function putDeadLetters(
  fixture: Pick<Fixture, 'redis' | 'bull'>,
  letters: readonly DeadLetterSpec[],
): Promise<string[]> {
  const pipeline = fixture.redis.pipeline();
  const ids = letters.map(({ jobId = newJobId(), tenant = 'acme', since, reason, data }) => {
    pipeline.hset(fixture.bull.toKey(jobId), {
      name: 'index',
      data: data ?? JSON.stringify(dataOf({ tenant, revision: youngRevision() })),
      opts: '{"attempts":8}',
      timestamp: since,
      priority: 1,
      atm: 1,
      failedReason: reason ?? `CONTENT_MISSING ${jobId}`,
      finishedOn: since,
    });
    pipeline.zadd(fixture.bull.toKey('failed'), since, jobId);
    return jobId;
  });
  await pipeline.exec();
  return ids;
}

/** The index in Redis: ids by the name of their list. */
export async function indexOf({ redis, keys }: Fixture): Promise<Record<string, string[]>> {
  const names = await redis.smembers(keys.letterLists);
  const lists = await Promise.all(
    names.sort().map(async (name) => {
      const [tenant = '', code = ''] = name.split(':');
      return [name, await redis.zrange(keys.letters(tenant, code), '0', '-1')] as const;
    }),
  );
  return Object.fromEntries(lists);
}

export const queueTasks = (
  { redis, keys, config, metrics }: Fixture,
  removeContent: (place: IntakePlace) => Promise<void> = async () => {},
  clock: Clock = systemClock,
): LetterTasks => createLetterTasks({ redis, keys, config, metrics, clock, removeContent });
