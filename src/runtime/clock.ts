// Time: wall clock, monotonic clock and timers, injected so that tests control time. Only clients' network deadlines bypass it.

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

/** `prompt`: for callers that wait for a response (producer, reader, operator); `patient`: for a worker's jobs. */
export type WaitMode = 'patient' | 'prompt';

/** Maximum delay of Node's timers; a longer one fires immediately. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = Object.freeze({
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms: number, fn: () => void): Timer {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), MAX_TIMER_MS));
    return { cancel: () => clearTimeout(timer) };
  },
});

/** Resolves after `ms`; rejects with the signal's reason if it is aborted first. */
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

/** Returns the result of `work`, or rejects with `late()` after `ms`. Does not stop the work: pair it with a signal. */
export function withDeadline<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => reject(late()));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

/** Returns the result of `work`, or rejects with the signal's reason as soon as it is aborted. Does not stop the work. */
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
  /** Ends the loop and waits for the turn in progress. May be called twice. */
  stop(): Promise<void>;
}

/** Calls `turn` repeatedly, with a pause of `ms` before each call. Errors are ignored. */
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

/** Delays and revisions are wall clock times: a larger difference would delay jobs too long and order them wrongly. */
export const MAX_SKEW_MS = 60_000;
