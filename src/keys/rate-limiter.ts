// Rate limiter of a client: all its calls share one quota, so a throttled response slows down all of them. Imports no KMS code.
import { orAbort, type Clock, type Timer } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';

const FIRST_MS = 50;
const MAX_INTERVAL_MS = 2000;
/** Factor by which a successful call shrinks the interval: the longest interval ends after 35 calls, within ten seconds. */
const SHRINK = 0.8;
const GONE_MS = 1;
/** A throttled response older than this has no bearing on the current quota. */
const FORGET_MS = 60_000;
const MAX_WAITING = 256;

/** The reason of a call that was not sent in time. */
export const RATE_LIMITED = 'RateLimited';

export interface RateLimiterDeps {
  readonly clock: Clock;
  readonly isThrottled: (error: unknown) => boolean;
  /** Maximum number of waiting calls; 256 by default. */
  readonly maxWaiting?: number;
}

/** Error of a call that was not sent in time. */
export const rateLimited = (): SealdexError => new SealdexError('KMS_THROTTLED', undefined, { reason: RATE_LIMITED });

/**
 * Has no effect until a response is throttled. Then calls start an interval apart. Each further throttled response doubles it, up
 * to 2 s; successful calls shrink it until it ends.
 */
export class RateLimiter {
  readonly #deps: RateLimiterDeps;
  readonly #waiting = new Set<() => void>();
  /** 0: calls do not wait. */
  #intervalMs = 0;
  /** Number of times the interval grew. */
  #growths = 0;
  /** By the monotonic clock; only differences count. */
  #throttledMs = 0;
  /** Start of the last call, or time of the throttled response. */
  #lastMs = 0;
  #timer: Timer | undefined;

  constructor(deps: RateLimiterDeps) {
    this.#deps = deps;
  }

  /** Milliseconds between the starts of two calls. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /**
   * Runs `call` in the order of the requests.
   * @throws SealdexError `KMS_THROTTLED` with reason `RateLimited` if the signal is aborted first, or too many calls wait; what
   * `call` throws
   */
  async run<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    if (this.#intervalMs > 0) await this.#turn(signal);
    // Calls in flight when the quota ran out count as one throttling: their later responses add no information.
    const growths = this.#growths;
    try {
      const answer = await call();
      if (growths === this.#growths) this.#shrink();
      return answer;
    } catch (error) {
      if (growths === this.#growths && this.#deps.isThrottled(error)) this.#grow();
      throw error;
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { maxWaiting = MAX_WAITING } = this.#deps;
    if (signal.aborted || this.#waiting.size >= maxWaiting) throw rateLimited();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    this.#next();
    try {
      await orAbort(promise, signal);
    } catch {
      throw rateLimited();
    } finally {
      // A slot granted at the moment of the abort is lost: the next one follows after at most one interval.
      this.#waiting.delete(resolve);
      this.#next();
    }
  }

  /** Starts the next call, and sets the timer for the one after it. */
  #next(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = this.#deps.clock.monotonic();
    if (now - this.#throttledMs >= FORGET_MS) this.#intervalMs = 0;
    for (const go of this.#waiting) {
      const leftMs = this.#lastMs + this.#intervalMs - now;
      if (leftMs > 0) {
        this.#timer = this.#deps.clock.after(leftMs, () => this.#next());
        return;
      }
      this.#lastMs = now;
      this.#waiting.delete(go);
      go();
    }
  }

  #shrink(): void {
    if (this.#intervalMs === 0) return;
    const shrunk = this.#intervalMs * SHRINK;
    this.#intervalMs = shrunk < GONE_MS ? 0 : shrunk;
    this.#next();
  }

  #grow(): void {
    this.#growths += 1;
    this.#throttledMs = this.#lastMs = this.#deps.clock.monotonic();
    this.#intervalMs = Math.min(MAX_INTERVAL_MS, Math.max(FIRST_MS, this.#intervalMs * 2));
    this.#next();
  }
}
