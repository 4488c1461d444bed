// When a child that reads a file is killed: for time, for memory, at a signal; and for which of them it was.
// Sees processes from outside, and knows nothing of files.
import { repeat, type Clock } from '../runtime/clock.ts';
import { deadlines } from '../runtime/deadlines.ts';
import type { Extractor } from './extractor.ts';
import { processorTime, residentBytes } from './processes.ts';

const MIB = 1_048_576;
/** Beside the heap: code, stacks, and the file itself, twice. */
const BESIDE_HEAP_BYTES = 128 * MIB;
const WATCH_MS = 50;

/** A child that was kept from computing has so many times its time; then it is nobody's fault, and is tried again. */
const PATIENCE = 4;

/** `starved`: the machine had no time for it. */
export type Cause = 'time' | 'memory' | 'start' | 'starved' | 'aborted';

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly extractMs: number;
  readonly heapBytes: number;
}

/** Resident memory, bytes; 0 where the system does not tell, or when it is gone. */
export const memoryOf = ({ pid }: Extractor): number => (pid === undefined ? 0 : (residentBytes(pid) ?? 0));

export class ChildWatchdog {
  readonly #options: WatchdogOptions;
  readonly #child: Extractor;
  readonly #ends: AbortSignal;
  readonly #watch: { stop(): Promise<void> };
  #timer: { cancel(): void };
  #hasBegun = false;
  #cause: Cause | undefined;

  constructor(options: WatchdogOptions, child: Extractor, ends: AbortSignal) {
    this.#options = options;
    this.#child = child;
    this.#ends = ends;
    const { clock, heapBytes } = options;
    this.#timer = clock.after(deadlines.extractorStartMs, () => this.#kill('start'));
    this.#watch = repeat(clock, WATCH_MS, async () => {
      if (memoryOf(child) > heapBytes + BESIDE_HEAP_BYTES) this.#kill('memory');
    });
    ends.addEventListener('abort', this.#onAbort, { once: true });
    if (ends.aborted) this.#onAbort();
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Why it was killed from here; undefined when it was not. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** The child says that it reads the file. */
  begun(): void {
    this.#hasBegun = true;
    this.#timer.cancel();
    const { clock, extractMs } = this.#options;
    const { pid } = this.#child;
    const usedMs = (): number | undefined => (pid === undefined ? undefined : processorTime(pid)?.usedMs);
    const before = usedMs() ?? 0;
    const until = clock.monotonic() + PATIENCE * extractMs;
    let last = before;
    const look = (): void => {
      const time = pid === undefined ? undefined : processorTime(pid);
      // On a saturated machine wall time says nothing of the file: other processes had the processor. One that waits for
      // nothing that will ever come does not run either, but nobody keeps it from it.
      const isStuck = time !== undefined && time.isAsleep && time.usedMs === last;
      if (!time || isStuck || time.usedMs - before >= extractMs / 2) return this.#kill('time');
      if (clock.monotonic() >= until) return this.#kill('starved');
      last = time.usedMs;
      this.#timer = clock.after(extractMs / 4, look);
    };
    this.#timer = clock.after(extractMs, look);
  }

  end(): void {
    this.#timer.cancel();
    void this.#watch.stop();
    this.#ends.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#kill('aborted');

  #kill(cause: Cause): void {
    this.#cause ??= cause;
    this.#child.kill();
  }
}
