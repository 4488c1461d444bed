// List of parked jobs: reads the jobs parked at a gate in one queue, in pages.
import { runCommand, type Redis, type QueueKeys } from '../../runtime/redis.ts';
import { redisFault } from '../../runtime/redis-errors.ts';
import { parseParked, type ParkedNote } from './parked.ts';

export interface ParkedEntry extends Pick<ParkedNote, 'since'>, Partial<Pick<ParkedNote, 'code' | 'count'>> {
  readonly jobId: string;
}

export interface ParkedPage {
  readonly entries: readonly ParkedEntry[];
  /** Rank at which the next page begins; undefined at the end. While jobs are released, a page may miss some. */
  readonly next?: number;
}

/**
 * Returns jobs parked at a gate, oldest first. Skips index entries whose job does not exist.
 * @throws SealdexError `REDIS_FAILED`
 */
export async function parkedPage(
  { redis, keys, queueKey }: { redis: Redis; keys: QueueKeys; queueKey: string },
  gate: string,
  from: number,
  size: number,
): Promise<ParkedPage> {
  const flat = await runCommand(redis.zrange(keys.parked(gate), String(from), String(from + size - 1), 'WITHSCORES'));
  const found = Array.from({ length: flat.length / 2 }, (_, at) => ({
    jobId: flat[2 * at] ?? '',
    since: Number(flat[2 * at + 1]),
  }));
  const pipeline = redis.pipeline();
  for (const { jobId } of found) pipeline.hmget(`${queueKey}${jobId}`, 'parked', 'timestamp');
  const replies = (await runCommand(pipeline.exec())) ?? [];
  const entries = found.flatMap(({ jobId, since }, at) => {
    const [error, reply] = replies[at] ?? [];
    if (error) throw redisFault(error);
    const [text, timestamp] = reply as [string | null, string | null];
    if (timestamp === null) return [];
    const note = parseParked(text);
    return [note?.gate === gate ? { jobId, since, code: note.code, count: note.count } : { jobId, since }];
  });
  return { entries, ...(found.length < size ? {} : { next: from + size }) };
}
