// Watchdog of an extraction process: kills it after its limits of time and memory or at a signal, and stores the cause.
import { repeat, type Clock } from '../runtime/clock.ts';
import { deadlines } from '../runtime/deadlines.ts';
import type { Extractor } from './extractor.ts';
import { processorTime, residentBytes } from './processes.ts';

const MIB = 1_048_576;
/** In addition to the heap: code, stacks, and two copies of the file. */
const BESIDE_HEAP_BYTES = 128 * MIB;
const WATCH_MS = 50;

/** `starved`: the host had no processor time for it. */
export type Cause = 'time' | 'memory' | 'start' | 'starved' | 'aborted';

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly extractMs: number;
  readonly heapBytes: number;
}

/** Resident memory in bytes; 0 if the system does not report it, or if the process has ended. */
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

  /** Why the watchdog killed it; undefined if it did not. */
  get cause(): Cause | undefined {
    return this.#cause;
  }

  /** Called when the child starts to read the file. */
  begun(): void {
    this.#hasBegun = true;
    this.#timer.cancel();
    const { clock, extractMs } = this.#options;
    const { pid } = this.#child;
    const usedMs = (): number | undefined => (pid === undefined ? undefined : processorTime(pid)?.usedMs);
    const before = usedMs() ?? 0;
    const until = clock.monotonic() + deadlines.starvedFactor * extractMs;
    let last = before;
    const inspect = (): void => {
      const time = pid === undefined ? undefined : processorTime(pid);
      // On a saturated host, wall time proves nothing: other processes had the processor. A process that waits forever uses no
      // time either, but it is asleep.
      const isStuck = time !== undefined && time.isAsleep && time.usedMs === last;
      if (!time || isStuck || time.usedMs - before >= extractMs / 2) return this.#kill('time');
      if (clock.monotonic() >= until) return this.#kill('starved');
      last = time.usedMs;
      this.#timer = clock.after(extractMs / 4, inspect);
    };
    this.#timer = clock.after(extractMs, inspect);
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
