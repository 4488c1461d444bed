// After a stall: a job that comes back from a process that died or froze waits a little first. Stalled jobs come back all at
// once and ahead of all others, and one that kills its process would take the same innocent ones with it again and again.
// Whether it must wait, and how long; the move is settle.ts'.
import type { Outcome } from '../../jobs/outcome.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Redis } from '../../runtime/redis.ts';
import { VALUES } from '../lua-values.ts';

const SHORTEST_MS = 1000;
const LONGEST_MS = 60_000;

/** `stc` counts what BullMQ calls stalls, over the job's whole life. Who sends a job again resets both. */
const NOTE_STALLS = script({
  name: 'note_stalls',
  keys: ['entry'],
  lua: `${VALUES}
  local stalls = redis.call('HMGET', entry, 'stc', 'stallsSeen')
  if number_of(stalls[1]) <= number_of(stalls[2]) then return 0 end
  redis.call('HSET', entry, 'stallsSeen', stalls[1])
  return 1`,
});

/** Defers a job that is back from a stall by 1 to 60 s, once for each stall. Undefined for all others. */
export async function afterStall(
  redis: Redis,
  entryKey: string,
  stalls: number,
  random: () => number = Math.random,
): Promise<Outcome | undefined> {
  if (stalls === 0) return undefined;
  // Without an answer it waits: that costs a minute, and a job that fails here would count one stall more.
  const isNew = await runScript(redis, NOTE_STALLS, { entry: entryKey }).catch(() => 1);
  if (isNew !== 1) return undefined;
  const afterMs = SHORTEST_MS + Math.floor(random() * (LONGEST_MS - SHORTEST_MS));
  return { kind: 'defer', code: 'STALLED', afterMs };
}
