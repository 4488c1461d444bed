// Fullness: whether Redis has memory for more jobs. Enqueueing ends well before Redis refuses to write, since workers need to
// write to bring jobs to an end. What is in Redis is not known here.
import type { Clock } from '../../runtime/clock.ts';
import { SealdexError } from '../../runtime/errors.ts';
import { runCommand, type Redis } from '../../runtime/redis.ts';

const FULL_FROM = 0.75;
const LOOK_EVERY_MS = 1000;
export const RETRY_AFTER_MS = 30_000;

/** The used part of Redis' memory; 0 when it has no limit. */
export async function memoryRatio(redis: Redis): Promise<number> {
  const info = await runCommand(redis.info('memory'));
  const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const most = read('maxmemory');
  return most > 0 ? read('used_memory') / most : 0;
}

/** Asks Redis at most once a second, however many ask; a Redis without a limit is never full. */
export class MemoryLimit {
  readonly #redis: Redis;
  readonly #clock: Clock;
  #looked = -Infinity;
  #isFull: Promise<boolean> = Promise.resolve(false);

  constructor(redis: Redis, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** @throws SealdexError `QUEUE_FULL` with `retryAfterMs`; `REDIS_FAILED` when Redis does not answer, full or not */
  async refuse(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#looked >= LOOK_EVERY_MS) {
      this.#looked = now;
      this.#isFull = this.#look();
    }
    if (await this.#isFull) throw new SealdexError('QUEUE_FULL', undefined, { retryAfterMs: RETRY_AFTER_MS });
  }

  async #look(): Promise<boolean> {
    try {
      return (await memoryRatio(this.#redis)) >= FULL_FROM;
    } catch (error) {
      // An answer that did not come says nothing about the next second.
      this.#looked = -Infinity;
      throw error;
    }
  }
}
