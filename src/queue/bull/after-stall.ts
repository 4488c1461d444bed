// Delay after a stall: defers a job that returns from a process that died or froze.
// Stalled jobs return all at once and ahead of all others. A job that kills its process would take the same jobs down again.
import type { Outcome } from '../../jobs/outcome.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis } from '../../runtime/redis.ts';
import { VALUES } from '../lua-values.ts';

const MIN_DELAY_MS = 1000;
const MAX_DELAY_MS = 60_000;

/** `stc` is BullMQ's count of stalls over the life of the job. A replay resets both fields. */
const NOTE_STALLS = script({
  name: 'note_stalls',
  keys: ['entry'],
  lua: `${VALUES}
  local stalls = redis.call('HMGET', entry, 'stc', 'stallsSeen')
  if number_of(stalls[1]) <= number_of(stalls[2]) then return 0 end
  redis.call('HSET', entry, 'stallsSeen', stalls[1])
  return 1`,
});

/** Defers a job that is back from a stall by 1 to 60 s, once for each stall. Returns undefined for all other jobs. */
export async function afterStall(
  redis: Redis,
  entryKey: string,
  stalls: number,
  random: () => number = Math.random,
): Promise<Outcome | undefined> {
  if (stalls === 0) return undefined;
  // If Redis fails, the job waits: that costs at most a minute. An error here would count as one more stall.
  const isNew = await runScript(redis, NOTE_STALLS, { entry: entryKey }).catch(() => 1);
  if (isNew !== 1) return undefined;
  const afterMs = MIN_DELAY_MS + Math.floor(random() * (MAX_DELAY_MS - MIN_DELAY_MS));
  return { kind: 'defer', code: 'STALLED', afterMs };
}
