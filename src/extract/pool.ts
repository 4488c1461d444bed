// Pool of extraction processes: limited in number, started on demand, kept warm, recycled, and killed by time, memory,
// cancellation and stop.
import type { Clock } from '../runtime/clock.ts';
import type { DocumentLimits } from '../documents/shapes.ts';
import { SealdexError } from '../runtime/errors.ts';
import { CHILD_ENTRY, type Ended, Extractor } from './extractor.ts';
import type { FileInput } from '@sealdex/extract';
import type { FileRecord } from './file-record.ts';
import type { Frame } from './framing.ts';
import { ChildWatchdog, memoryOf } from './child-watchdog.ts';
import { FILE_REASONS, isMime, type FileReasonName, unreadable, unsupported } from './reasons.ts';
import {
  type ExtractResponse,
  responseBounds,
  type FilePlace,
  NOT_THIS_FILE,
  type ExtractRequest,
} from './protocol.ts';
import { Slots } from './slots.ts';

const MIB = 1_048_576;
const IDLE_MS = 60_000;
const FILES_PER_CHILD = 50;
const WARM_BYTES = 256 * MIB;

export interface ExtractPoolOptions {
  readonly clock: Clock;
  /** Number of files read concurrently. */
  readonly size: number;
  readonly extractMs: number;
  readonly heapBytes: number;
  readonly limits: DocumentLimits;
  readonly entry?: string;
  readonly filesPerChild?: number;
  readonly idleMs?: number;
}

export interface ExtractStats {
  readonly busy: number;
  readonly idle: number;
  readonly waiting: number;
  /** Children started so far, and those killed for time or memory. */
  readonly startedTotal: number;
  readonly killedTotal: number;
}

interface Idle {
  readonly child: Extractor;
  readonly timer: { cancel(): void };
}

const died = (): SealdexError =>
  new SealdexError('INTERNAL', 'The extraction process died. Try again.', { reason: 'ExtractorDied' });

export class ExtractPool implements AsyncDisposable {
  readonly #options: ExtractPoolOptions;
  readonly #slots: Slots;
  readonly #children = new Set<Extractor>();
  readonly #stopping = new AbortController();
  #idle: Idle[] = [];
  #startedTotal = 0;
  #killedTotal = 0;

  constructor(options: ExtractPoolOptions) {
    this.#options = options;
    this.#slots = new Slots(options.size);
  }

  /**
   * Returns the record of a file. Rejects with `FILE_...` and its reason, `INTERNAL` with the reason `ExtractorDied` or
   * `ExtractPoolStopped` (try again), or the signal's reason. A process killed for it has ended by then.
   */
  async extract(file: FileInput, place: FilePlace, signal?: AbortSignal): Promise<FileRecord> {
    const ends = signal ? AbortSignal.any([signal, this.#stopping.signal]) : this.#stopping.signal;
    using _slot = await this.#slots.take(ends);
    const answer = await this.#read(this.#takeIdle() ?? this.#start(), file, place, ends);
    if (answer !== 'unheard') return answer;
    // A warm child may have died since the last file, or because of it; a fresh one by a signal at its start.
    const again = await this.#read(this.#start(), file, place, ends);
    if (again !== 'unheard') return again;
    throw died();
  }

  /** Kills every child and waits for their end; files in progress are rejected. May be called twice. */
  async stop(): Promise<void> {
    this.#stopping.abort(
      new SealdexError('INTERNAL', 'Extraction is stopping. Try again.', { reason: 'ExtractPoolStopped' }),
    );
    for (const { timer } of this.#idle.splice(0)) timer.cancel();
    const children = [...this.#children];
    for (const child of children) child.kill();
    await Promise.all(children.map(({ gone }) => gone));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  stats(): ExtractStats {
    const { busy, waiting } = this.#slots;
    const [startedTotal, killedTotal] = [this.#startedTotal, this.#killedTotal];
    return { busy, idle: this.#idle.length, waiting, startedTotal, killedTotal };
  }

  /** Resident memory of all children in bytes; 0 if the system does not report it. */
  residentBytes(): number {
    return [...this.#children].reduce((sum, child) => sum + memoryOf(child), 0);
  }

  async #read(
    child: Extractor,
    { filename, contentType, bytes }: FileInput,
    place: FilePlace,
    ends: AbortSignal,
  ): Promise<FileRecord | 'unheard'> {
    // Only these three: other settings must not reach a process that reads hostile files.
    const { partChars, metadataBytes, documentBytes } = this.#options.limits;
    const limits = { partChars, metadataBytes, documentBytes };
    const request: ExtractRequest = { filename, contentType, place, limits };
    const watchdog = new ChildWatchdog(this.#options, child, ends);
    let isWell = false;
    try {
      const answer = await child.send(request, bytes, () => watchdog.begun());
      ends.throwIfAborted();
      if (!('header' in answer)) return failed(answer, watchdog);
      const record = recordIn(answer);
      // A child that rejected a file is not reused: an asynchronous error of that file could hit the next one.
      isWell = watchdog.cause === undefined;
      return record;
    } finally {
      watchdog.end();
      if (watchdog.cause === 'time' || watchdog.cause === 'memory') this.#killedTotal += 1;
      await this.#putBack(child, isWell);
    }
  }

  #start(): Extractor {
    const { entry = CHILD_ENTRY, heapBytes, limits } = this.#options;
    const child = new Extractor({ entry, heapBytes, bounds: responseBounds(limits) });
    this.#startedTotal += 1;
    this.#children.add(child);
    void child.gone.then(() => {
      this.#children.delete(child);
      this.#forget(child);
    });
    return child;
  }

  #takeIdle(): Extractor | undefined {
    const idle = this.#idle.pop();
    idle?.timer.cancel();
    return idle?.child;
  }

  #forget(child: Extractor): void {
    for (const idle of this.#idle) if (idle.child === child) idle.timer.cancel();
    this.#idle = this.#idle.filter((idle) => idle.child !== child);
  }

  /** Keeps the child warm, or kills it and waits for its end, so that there are never more children than slots. */
  async #putBack(child: Extractor, isWell: boolean): Promise<void> {
    const { clock, filesPerChild = FILES_PER_CHILD, idleMs = IDLE_MS } = this.#options;
    const isWarm = isWell && !this.#stopping.signal.aborted && child.requests < filesPerChild;
    if (isWarm && this.#children.has(child) && memoryOf(child) <= WARM_BYTES) {
      this.#idle.push({ child, timer: clock.after(idleMs, () => this.#endIdle(child)) });
      return;
    }
    child.kill();
    await child.gone;
  }

  #endIdle(child: Extractor): void {
    this.#forget(child);
    child.kill();
  }
}

export const createExtractPool = (options: ExtractPoolOptions): ExtractPool => new ExtractPool(options);

/** Exit of Node if V8 runs out of memory. */
const OUT_OF_MEMORY: ReadonlySet<string | number | null> = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL', 132, 133, 134]);

function failed({ code, signal }: Ended, { cause, hasBegun }: ChildWatchdog): 'unheard' {
  if (cause === 'time' || cause === 'memory') throw unreadable(cause);
  if (code === NOT_THIS_FILE && cause === undefined) return 'unheard';
  if (hasBegun && (OUT_OF_MEMORY.has(signal) || OUT_OF_MEMORY.has(code))) throw unreadable('memory');
  if (hasBegun) throw died();
  return 'unheard';
}

/** Validates the response: its sender has read a hostile file. */
function recordIn({ header, body }: Frame): FileRecord {
  const answer = header as Partial<ExtractResponse & { contentType: unknown; reason: unknown; found: unknown }> | null;
  if (answer?.is === 'record' && isMime(answer.contentType)) return { contentType: answer.contentType, bytes: body };
  if (answer?.is === 'refused' && Object.hasOwn(FILE_REASONS, String(answer.reason))) {
    throw unreadable(answer.reason as FileReasonName);
  }
  if (answer?.is === 'unsupported') throw unsupported(String(answer.found));
  throw died();
}
