// Which content in S3 the jobs name that are in the queue, waiting, parked or dead: for who looks for content without a job.
// Only looks; reads no content.
import { z } from 'zod';
import { INTAKE_ID, QUEUE_NAMES } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { queueKey } from './queue-keys.ts';

/**
 * `gone`: no entry in the queue. `names`: what content it names, if any. `unreadable`: there is an entry that does not say,
 * so whatever lies under its id may be its own.
 */
export type NamedIntake =
  | { readonly kind: 'gone' | 'unreadable' }
  | { readonly kind: 'names'; readonly intake: string | undefined };

/** Answers the data of an entry, nil when there is no entry, and nothing of data that is too large to name content in S3. */
const DATA = script({
  name: 'entry_data',
  keys: ['entry'],
  lua: `
    local bytes = redis.pcall('HSTRLEN', entry, 'data')
    if type(bytes) ~= 'number' then return '' end
    if bytes > 0 and bytes <= 4096 then return redis.call('HGET', entry, 'data') end
    return redis.call('EXISTS', entry) == 1 and '' or false`,
});

/** Looks in every queue, for all at once: give it a hundred or so. */
export async function namedIntake(redis: Redis, keys: RedisKeys, jobIds: readonly string[]): Promise<NamedIntake[]> {
  const inQueues = await Promise.all(
    QUEUE_NAMES.map((name) => queueKeys(keys, name)).map((own) =>
      Promise.all(jobIds.map(async (id) => namedBy(await runScript(redis, DATA, { entry: queueKey(own, id) })))),
    ),
  );
  return jobIds.map((_, at) => together(inQueues.map((found) => found[at] ?? { kind: 'unreadable' })));
}

/** Of an id that somebody has put into two queues, it cannot be told what it names. */
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
    const parsed = entry.safeParse(JSON.parse(data));
    return parsed.success ? { kind: 'names', intake: parsed.data.content?.intake } : { kind: 'unreadable' };
  } catch {
    return { kind: 'unreadable' };
  }
}
