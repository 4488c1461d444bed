// Background gate: lets at most one background job run in a process, which waits for the foreground jobs.
import { sleep, type Clock } from '../runtime/clock.ts';

/** A background job still advances, one step in this time, if foreground jobs never pause. */
const MAX_WAIT_MS = 50;

export class BackgroundGate {
  readonly #clock: Clock;
  #foregroundJobs = 0;
  #hasBackgroundJob = false;
  #foregroundEnd = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Starts a foreground job; call the result when it ends. */
  enterForeground(): () => void {
    this.#foregroundJobs += 1;
    return () => {
      this.#foregroundJobs -= 1;
      if (this.#foregroundJobs > 0) return;
      this.#foregroundEnd.abort();
      this.#foregroundEnd = new AbortController();
    };
  }

  /** Starts the background job. Returns a function to call when it ends, safe to call twice; undefined if one is running. */
  enterBackground(): (() => void) | undefined {
    if (this.#hasBackgroundJob) return undefined;
    this.#hasBackgroundJob = true;
    let isOver = false;
    return () => {
      if (!isOver) this.#hasBackgroundJob = false;
      isOver = true;
    };
  }

  /** Call between two steps of the background job. Resolves if no foreground job is running, or after 50 ms. */
  async giveWay(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#foregroundJobs === 0) return;
    await sleep(this.#clock, MAX_WAIT_MS, AbortSignal.any([signal, this.#foregroundEnd.signal])).catch(() => {});
    signal.throwIfAborted();
  }
}
