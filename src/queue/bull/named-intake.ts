// Intake references of jobs: which content in S3 the jobs in the queues name, dead letters included. Used by the intake sweep.
import { z } from 'zod';
import { INTAKE_ID, QUEUE_NAMES } from '../../runtime/names.ts';
import { isNewerThan } from '../../runtime/newer.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { queueKey } from './queue-keys.ts';

/**
 * `gone`: no entry in a queue. `names`: the content that the entry names, if any. `unreadable`: the entry cannot be read,
 * so any content under its id may belong to it.
 */
export type NamedIntake =
  | { readonly kind: 'gone' | 'unreadable' }
  | { readonly kind: 'names'; readonly intake: string | undefined };

/** Returns the data of an entry, nil if there is none, and '' for data that is too large to name content in S3. */
const DATA = script({
  name: 'entry_data',
  keys: ['entry'],
  lua: `
    local bytes = redis.pcall('HSTRLEN', entry, 'data')
    if type(bytes) ~= 'number' then return '' end
    if bytes > 0 and bytes <= 4096 then return redis.call('HGET', entry, 'data') end
    return redis.call('EXISTS', entry) == 1 and '' or false`,
});

/** Runs one script for each job and queue, all at once: pass about 100 jobs. */
export async function namedIntake(redis: Redis, keys: RedisKeys, jobIds: readonly string[]): Promise<NamedIntake[]> {
  const inQueues = await Promise.all(
    QUEUE_NAMES.map((name) => queueKeys(keys, name)).map((own) =>
      Promise.all(jobIds.map(async (id) => namedBy(await runScript(redis, DATA, { entry: queueKey(own, id) })))),
    ),
  );
  return jobIds.map((_, at) => together(inQueues.map((found) => found[at] ?? { kind: 'unreadable' })));
}

/** An id that is in two queues is ambiguous, and counts as unreadable. */
function together(found: readonly NamedIntake[]): NamedIntake {
  const [first, ...more] = found.filter(({ kind }) => kind !== 'gone');
  if (!first) return { kind: 'gone' };
  return more.length === 0 ? first : { kind: 'unreadable' };
}

const entry = z.object({ content: z.object({ intake: z.string().regex(INTAKE_ID).optional() }).optional() });

function namedBy(data: unknown): NamedIntake {
  if (data === null) return { kind: 'gone' };
  if (typeof data !== 'string') return { kind: 'unreadable' };
  try {
    const value: unknown = JSON.parse(data);
    // A newer release may name content in another way.
    if (isNewerThan(1, value)) return { kind: 'unreadable' };
    const parsed = entry.safeParse(value);
    return parsed.success ? { kind: 'names', intake: parsed.data.content?.intake } : { kind: 'unreadable' };
  } catch {
    return { kind: 'unreadable' };
  }
}
