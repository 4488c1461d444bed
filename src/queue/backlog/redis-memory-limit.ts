// Redis memory limit: rejects new jobs well before Redis rejects writes, since workers must write to finish jobs.
import type { Clock } from '../../runtime/clock.ts';
import { SealdexError } from '../../runtime/errors.ts';
import { runCommand, type Redis } from '../../runtime/redis.ts';

const FULL_FROM = 0.75;
const READ_INTERVAL_MS = 1000;
export const RETRY_AFTER_MS = 30_000;

/** The used part of Redis' memory, 0 to 1; 0 if it has no limit. */
export async function memoryRatio(redis: Redis): Promise<number> {
  const info = await runCommand(redis.info('memory'));
  const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const most = read('maxmemory');
  return most > 0 ? read('used_memory') / most : 0;
}

/** Reads the memory of Redis at most once a second, for any number of calls. A Redis without a limit is never full. */
export class MemoryLimit {
  readonly #redis: Redis;
  readonly #clock: Clock;
  #readAt = -Infinity;
  #isFull: Promise<boolean> = Promise.resolve(false);

  constructor(redis: Redis, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** @throws SealdexError `QUEUE_FULL` with `retryAfterMs`; `REDIS_FAILED` if Redis does not respond */
  async refuse(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#readAt >= READ_INTERVAL_MS) {
      this.#readAt = now;
      this.#isFull = this.#read();
    }
    if (await this.#isFull) throw new SealdexError('QUEUE_FULL', undefined, { retryAfterMs: RETRY_AFTER_MS });
  }

  async #read(): Promise<boolean> {
    try {
      return (await memoryRatio(this.#redis)) >= FULL_FROM;
    } catch (error) {
      // A failed read is repeated by the next call.
      this.#readAt = -Infinity;
      throw error;
    }
  }
}
