// The pace of a client that is throttled: all its calls share one quota, so one throttled answer slows them all, whoever they are for.
// Knows nothing of KMS: it is told what a throttled answer is.
import { orAbort, type Clock, type Timer } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';

const FIRST_MS = 50;
const LONGEST_MS = 2000;
/** What each good answer leaves of the interval: from the longest it is gone after 35 of them, in ten seconds. */
const SHRINK = 0.8;
const GONE_MS = 1;
/** A throttling that is this old says nothing of the quota of now. */
const FORGET_MS = 60_000;
const MOST_WAITING = 256;

/** The reason of a call that did not get its turn: it was never sent. */
export const RATE_LIMITED = 'RateLimited';

export interface PaceDeps {
  readonly clock: Clock;
  readonly isThrottled: (error: unknown) => boolean;
  /** How many may wait for their turn; 256 when left out. */
  readonly mostWaiting?: number;
}

/** What a call that did not get its turn in time fails with. */
export const rateLimited = (): SealdexError => new SealdexError('KMS_THROTTLED', undefined, { reason: RATE_LIMITED });

/**
 * Costs nothing until an answer is throttled. Then calls start an interval apart; it doubles with each further such answer
 * up to 2 s, and shrinks with good answers until it is gone.
 */
export class RateLimiter {
  readonly #deps: PaceDeps;
  readonly #waiting = new Set<() => void>();
  /** 0: nobody waits. */
  #intervalMs = 0;
  /** How often the interval grew. */
  #growths = 0;
  /** By the monotonic clock, of which only differences count. */
  #throttledMs = 0;
  /** When the last call began, or the throttled answer came. */
  #lastMs = 0;
  #timer: Timer | undefined;

  constructor(deps: PaceDeps) {
    this.#deps = deps;
  }

  /** Milliseconds between the starts of two calls. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /**
   * Runs `call` when it is its turn, in the order of asking.
   * @throws SealdexError `KMS_THROTTLED` with reason `RateLimited` when the signal was aborted before, or too many wait; what `call` throws
   */
  async run<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    if (this.#intervalMs > 0) await this.#turn(signal);
    // Calls that were under way together when the quota ran out are one verdict: what they answer later says nothing new.
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
    const { mostWaiting = MOST_WAITING } = this.#deps;
    if (signal.aborted || this.#waiting.size >= mostWaiting) throw rateLimited();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    this.#next();
    try {
      await orAbort(promise, signal);
    } catch {
      throw rateLimited();
    } finally {
      // A turn that came in the moment of giving up stays unused: the next one is an interval away at most.
      this.#waiting.delete(resolve);
      this.#next();
    }
  }

  /** Lets go whose turn it is, and sets the timer for the next one. */
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
    this.#intervalMs = Math.min(LONGEST_MS, Math.max(FIRST_MS, this.#intervalMs * 2));
    this.#next();
  }
}
