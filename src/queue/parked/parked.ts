// Parking and release: moves between BullMQ's delayed jobs and the index of jobs that are parked at a gate.
// The order of steps loses no job if a process dies: an extra index entry is harmless, and a missing one waits for the fallback.
import type { Job, Queue } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import { isCode, type Code } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type Redis, type QueueKeys } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';
import { VALUES } from '../lua-values.ts';

/** Delay after which a parked job returns without a release: 4 hours, a quarter earlier or later. */
const FALLBACK_MS = 4 * 3_600_000;
const FALLBACK_JITTER = 0.25;

/** Parking state in a job's entry; kept until the job ends. */
export interface ParkedNote {
  readonly code: Code;
  /** Wall clock, milliseconds: when the job was first parked. */
  readonly since: number;
  /** How often the job was parked. */
  readonly count: number;
  readonly gate: string;
}

const formatNote = ({ code, since, count, gate }: ParkedNote): string => `${code} ${since} ${count} ${gate}`;

const isPositive = (number: number): boolean => Number.isSafeInteger(number) && number > 0;

/** Undefined for a text that is not a parked note. */
export function parseParked(text: string | null | undefined): ParkedNote | undefined {
  const [code = '', since, count, gate] = (text ?? '').split(' ');
  const [sinceMs, times] = [Number(since), Number(count)];
  if (!isCode(code) || gate === undefined || !isPositive(sinceMs) || !isPositive(times)) return undefined;
  return { code, since: sinceMs, count: times, gate };
}

/**
 * Adds the index entry first, so that a release finds the job from now on, at its old rank if it was parked before.
 * Returns the parked note in the job's entry.
 */
const BEGIN = script({
  name: 'park_begin',
  keys: ['index', 'entry'],
  args: ['now', 'jobId'],
  lua: `${VALUES}
    local note = field_of(entry, 'parked') or ''
    local since = string.match(note, '^%S+ (%d+) ')
    redis.call('ZADD', index, 'NX', number_of(since) > 0 and since or now, jobId)
    return note`,
});

/**
 * Adds the index entry again, since a release may have removed it before the move. Then writes the note, and returns the
 * gate's text. A job that does not exist any more was released and has ended.
 */
const END = script({
  name: 'park_end',
  keys: ['index', 'entry', 'gates'],
  args: ['since', 'jobId', 'note', 'gate'],
  lua: `${VALUES}
    if redis.call('EXISTS', entry) == 1 then
      redis.call('ZADD', index, 'NX', since, jobId)
      redis.pcall('HSET', entry, 'parked', note)
    else
      redis.call('ZREM', index, jobId)
    end
    return field_of(gates, gate) or ''`,
});

export interface ParkDeps {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly parkedMaxMs: number;
  /** Whether a gate with this text in Redis lets jobs proceed. */
  readonly isOpen: (gateText: string) => boolean;
  /** Reads the gates that changed, after this process parked a job at a gate that is open. */
  readonly refresh: () => Promise<void>;
  /** Prefix of BullMQ's keys of the queue. */
  readonly queueKey: string;
  /** Returns false if the job was not delayed. */
  readonly promote: (jobId: string) => Promise<boolean>;
  readonly random?: () => number;
}

/** Parks a running job; spends no attempt. Returns `too-long`, and moves nothing, if the job was parked for the maximum time. */
export async function park(
  deps: ParkDeps,
  job: Job<JobData, null>,
  token: string,
  at: { gate: string; code: Code },
): Promise<'parked' | 'too-long'> {
  const { redis, keys, clock, queueKey, isOpen, random = Math.random } = deps;
  const jobId = job.id ?? '';
  const index = keys.parked(at.gate);
  const entry = `${queueKey}${jobId}`;
  const now = clock.now();
  const before = parseParked(String(await runScript(redis, BEGIN, { index, entry, now, jobId })));
  const note: ParkedNote = { ...at, since: before?.since ?? now, count: (before?.count ?? 0) + 1 };
  if (now - note.since > deps.parkedMaxMs) {
    await runCommand(redis.zrem(index, jobId));
    return 'too-long';
  }
  const jitter = 1 - FALLBACK_JITTER + 2 * FALLBACK_JITTER * random();
  await job.moveToDelayed(now + Math.round(FALLBACK_MS * jitter), token);
  const gateText = await runScript(redis, END, {
    index,
    entry,
    gates: keys.gates,
    since: note.since,
    jobId,
    note: formatNote(note),
    gate: at.gate,
  });
  if (isOpen(String(gateText))) {
    // Otherwise this process would park the job again until it receives the change. The job is released even if the read fails.
    await deps.refresh().catch(() => {});
    await release(deps, index, [jobId]);
  }
  return 'parked';
}

/**
 * Removes entries from the index. The entry of a running job stays unless the job was promoted (`isMoved`): it may be about
 * to be parked again. Returns how many entries stay.
 */
const FORGET = script({
  name: 'park_forget',
  keys: ['index'],
  args: ['entryPrefix', 'isMoved', '...ids'],
  lua: `
    local kept = 0
    for _, id in ipairs(ids) do
      if isMoved == '1' or redis.call('EXISTS', entryPrefix .. id .. ':lock') == 0 then
        redis.call('ZREM', index, id)
      else
        kept = kept + 1
      end
    end
    return kept`,
});

/** Promotes jobs, and only then removes their index entries. Returns how many entries stay. */
async function release(
  { redis, queueKey, promote }: Pick<ParkDeps, 'redis' | 'queueKey' | 'promote'>,
  index: string,
  jobIds: readonly string[],
): Promise<number> {
  const moves = await Promise.allSettled(jobIds.map((jobId) => promote(jobId)));
  const wasMoved = (isMoved: boolean): string[] =>
    jobIds.filter((_, at) => {
      const move = moves[at];
      return move?.status === 'fulfilled' && move.value === isMoved;
    });
  let kept = 0;
  for (const isMoved of [true, false]) {
    const ids = wasMoved(isMoved);
    if (ids.length === 0) continue;
    kept += Number(await runScript(redis, FORGET, { index, entryPrefix: queueKey, isMoved: isMoved ? 1 : 0, ids }));
  }
  const failed = moves.find((move) => move.status === 'rejected');
  if (failed) throw failed.reason;
  return kept;
}

export interface ReleaseDeps extends Pick<ParkDeps, 'redis' | 'keys' | 'queueKey' | 'promote'> {
  /** Gives delayed jobs new priorities. */
  readonly reprioritize: (jobIds: readonly string[]) => Promise<void>;
}

/** Batches start small and grow while the key works, so that few jobs fail if it stops working again. */
const FIRST_BATCH = 10;
const MAX_BATCH = 500;

/**
 * Releases the jobs parked at a gate, oldest first, while `shouldContinue` returns true between two batches.
 * @returns whether none is left
 */
export async function releaseParked(
  deps: ReleaseDeps,
  gate: string,
  shouldContinue: () => Promise<boolean>,
): Promise<boolean> {
  const { redis, keys, reprioritize } = deps;
  const index = keys.parked(gate);
  let kept = 0;
  for (let size = FIRST_BATCH; ; size = Math.min(size * 2, MAX_BATCH)) {
    if (!(await shouldContinue())) return false;
    const jobIds = await runCommand(redis.zrange(index, String(kept), String(kept + size - 1)));
    if (jobIds.length === 0) return true;
    await reprioritize(jobIds);
    kept += await release(deps, index, jobIds);
  }
}

/** Returns jobs that were first parked before a time to the queue, where they end as dead letters. At most 500. */
export async function expireParked(deps: ReleaseDeps, gate: string, before: number): Promise<void> {
  const index = deps.keys.parked(gate);
  const jobIds = await runCommand(deps.redis.zrangebyscore(index, '-inf', before, 'LIMIT', 0, MAX_BATCH));
  if (jobIds.length === 0) return;
  await deps.reprioritize(jobIds);
  await release(deps, index, jobIds);
}

/** BullMQ's error code for a job that is not delayed: it was released concurrently, or its delay has ended. */
const NOT_DELAYED = -3;

/** The entry is not a hash, so it is not a job. It must not stop the release of other jobs. */
const isNoJob = (error: unknown): boolean => error instanceof Error && error.message.includes('WRONGTYPE');

export const promoter =
  (queue: Pick<Queue, 'getBackend'>): ParkDeps['promote'] =>
  async (jobId) => {
    try {
      await queue.getBackend().promote(jobId);
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code === NOT_DELAYED || isNoJob(error)) return false;
      throw redisFault(error);
    }
  };
