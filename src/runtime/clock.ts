// Time, injected everywhere: wall clock, monotonic clock, timers. Nobody else reads a clock or sets a timer,
// but for the network deadlines of the clients.
// Tests put a clock of their own in its place, so that an hour passes in a microsecond.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Milliseconds that only go forward, from an arbitrary start. */
  monotonic(): number;
  /** Calls `fn` once after `ms`. The timer keeps the process alive: cancel it. */
  after(ms: number, fn: () => void): Timer;
}

/** `prompt`: for callers who wait for an answer (producer, reader, operator); `patient`: for a worker's jobs. */
export type WaitMode = 'patient' | 'prompt';

/** The longest delay that Node's timers take; longer ones fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms: number, fn: () => void): Timer {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), LONGEST_TIMER_MS));
    return { cancel: () => clearTimeout(timer) };
  },
});

/** Resolves after `ms`; rejects with the signal's reason when it is aborted before. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    function onAbort(): void {
      timer.cancel();
      reject(signal!.reason as Error);
    }
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** `work`, or a rejection with `late()` once `ms` have passed. The work itself is not stopped: pair it with a signal. */
export function withDeadline<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(late()));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** The work's result, or a rejection with the signal's reason as soon as it is aborted. The work itself goes on. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

export interface Loop {
  /** Ends it and waits for the turn that is under way. May be called twice. */
  stop(): Promise<void>;
}

/** Calls `turn` again and again, `ms` after the last one has ended; the first time after `ms`. What it throws is its own business. */
export function repeat(clock: Clock, ms: number, turn: () => Promise<void>): Loop {
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let timer = clock.after(ms, go);
  function go(): void {
    running = turn()
      .catch(() => {})
      .then(() => {
        if (!isStopped) timer = clock.after(ms, go);
      });
  }
  return {
    stop() {
      isStopped = true;
      timer.cancel();
      return running;
    },
  };
}

/** Delays and revisions are wall clock times: two clocks further apart would put jobs far away and order them wrongly. */
export const MAX_SKEW_MS = 60_000;
