// Parking a job, and releasing it: the moves between BullMQ's delayed jobs and the index of what is parked at a gate.
// In an order that loses no job wherever a process dies: an entry too many is harmless, one too few waits for the fallback.
// Why a gate is shut is not known here; the gate's text in Redis is read by a function that is given.
import type { Job, Queue } from 'bullmq';
import type { Clock } from '../../runtime/clock.ts';
import { isCode, type Code } from '../../runtime/errors.ts';
import type { JobData } from '../../jobs/jobs.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type Redis, type QueueKeys } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';
import { VALUES } from '../lua-values.ts';

/** The way back when all else fails: 4 hours, a quarter earlier or later. */
const FALLBACK_MS = 4 * 3_600_000;
const FALLBACK_JITTER = 0.25;

/** What a job's entry says of its parking, as long as it lives. */
export interface ParkedNote {
  readonly code: Code;
  /** Wall clock, milliseconds: when it was parked first. */
  readonly since: number;
  /** How often it was parked. */
  readonly count: number;
  /** At which gate. */
  readonly gate: string;
}

const formatNote = ({ code, since, count, gate }: ParkedNote): string => `${code} ${since} ${count} ${gate}`;

const isPositive = (number: number): boolean => Number.isSafeInteger(number) && number > 0;

/** Undefined for what is no such note. */
export function parseParked(text: string | null | undefined): ParkedNote | undefined {
  const [code = '', since, count, gate] = (text ?? '').split(' ');
  const [sinceMs, times] = [Number(since), Number(count)];
  if (!isCode(code) || gate === undefined || !isPositive(sinceMs) || !isPositive(times)) return undefined;
  return { code, since: sinceMs, count: times, gate };
}

/**
 * The index entry first: from here on a release finds the job, in its old place if it was parked before. Answers what its
 * entry says of its parking.
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
 * The entry again, for a release may have passed between it and the move; then the note, and the gate as it is now. A job
 * that is gone meanwhile was released and has ended.
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
  /** Makes this process know the gates as they are: it has parked at one that is open. */
  readonly refresh: () => Promise<void>;
  /** What BullMQ's keys of the queue begin with. */
  readonly queueKey: string;
  /** Answers whether the job was delayed. */
  readonly promote: (jobId: string) => Promise<boolean>;
  readonly random?: () => number;
}

/** Parks a job that is in work. No attempt is spent. Answers `too-long`, with nothing moved, for one that was parked for all the time it may. */
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
    // Else it would be parked again at once, until the news is here; but the job goes on whether that can be read or not.
    await deps.refresh().catch(() => {});
    await release(deps, index, [jobId]);
  }
  return 'parked';
}

/**
 * Takes entries out of the index; of jobs that somebody works on now only if they were promoted (`isMoved`): they may
 * be about to be parked again. Answers how many stay.
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

/** Promotes jobs, and only then takes their entries out. Answers how many entries stay. */
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
  /** Gives delayed jobs a fresh place in the order of all jobs. */
  readonly reprioritize: (jobIds: readonly string[]) => Promise<void>;
}

/** A key that turns bad again meets few jobs: the batches grow as long as it works. */
const FIRST_BATCH = 10;
const LARGEST_BATCH = 500;

/**
 * Releases what is parked at a gate, oldest first, as long as `shouldContinue` says so between two batches.
 * @returns whether nothing is left
 */
export async function releaseParked(
  deps: ReleaseDeps,
  gate: string,
  shouldContinue: () => Promise<boolean>,
): Promise<boolean> {
  const { redis, keys, reprioritize } = deps;
  const index = keys.parked(gate);
  let kept = 0;
  for (let size = FIRST_BATCH; ; size = Math.min(size * 2, LARGEST_BATCH)) {
    if (!(await shouldContinue())) return false;
    const jobIds = await runCommand(redis.zrange(index, String(kept), String(kept + size - 1)));
    if (jobIds.length === 0) return true;
    await reprioritize(jobIds);
    kept += await release(deps, index, jobIds);
  }
}

/** Brings back jobs that were parked first before a time, so that whoever takes them ends them. At most 500. */
export async function expireParked(deps: ReleaseDeps, gate: string, before: number): Promise<void> {
  const index = deps.keys.parked(gate);
  const jobIds = await runCommand(deps.redis.zrangebyscore(index, '-inf', before, 'LIMIT', 0, LARGEST_BATCH));
  if (jobIds.length === 0) return;
  await deps.reprioritize(jobIds);
  await release(deps, index, jobIds);
}

/** BullMQ's answer for a job that is not delayed: it was released by another, or has come back by itself. */
const NOT_DELAYED = -3;

/** An entry that somebody has put there and that is no hash: nothing can be made of it, and the others go on. */
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
