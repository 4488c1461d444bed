// Documents of all tenants that keep flowing, so that somebody sees what an outage of one does to whom.
// A round ends when the others' documents are stored: the pace is the machine's own. Knows nothing of keys and gates.
import { sleep, systemClock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { DemoTenant } from './cast.ts';
import type { CorpusFile } from './corpus.ts';
import { pageOf } from './documents.ts';
import type { Producer, Sending } from './indexing.ts';

export interface FlowDeps {
  readonly producer: Producer;
  readonly tenants: readonly DemoTenant[];
  /** Whose documents no round waits for. */
  readonly apart: string;
  readonly files: readonly CorpusFile[];
  readonly signal: AbortSignal;
}

interface Sent {
  readonly tenant: string;
  readonly jobId: string;
  /** Wall clock, milliseconds; so is the time that a job's status tells. */
  readonly sentAt: number;
  storedAt?: number;
}

const CORPUS = 'flow';
const LARGEST_BYTES = 16_384;
/** Documents in a round: of the tenant apart, and of each of the others. */
const APART_IN_ROUND = 4;
const OTHERS_IN_ROUND = 2;
const BETWEEN_ROUNDS_MS = 20;
const LOOK_EVERY_MS = 5;
/** Then a round waits no longer. What it waited for is asked about again at the very end. */
const ROUND_MS = 20_000;

export class Flow {
  readonly #deps: FlowDeps;
  readonly #files: readonly CorpusFile[];
  readonly #sent: Sent[] = [];
  #documents = 0;

  constructor(deps: FlowDeps) {
    this.#deps = deps;
    this.#files = deps.files.filter(({ bytes }) => bytes <= LARGEST_BYTES);
  }

  /** Of all documents that were accepted. */
  get jobIds(): readonly string[] {
    return this.#sent.map(({ jobId }) => jobId);
  }

  /** Sends a few documents of each tenant, and waits until those of the others are stored. */
  async round(): Promise<void> {
    const { producer, tenants, apart, signal } = this.#deps;
    const sendings = tenants.flatMap(({ tenant }) =>
      Array.from({ length: tenant === apart ? APART_IN_ROUND : OTHERS_IN_ROUND }, () => this.#next(tenant)),
    );
    const sentAt = systemClock.now();
    const results = await producer.enqueueIndexBulk(sendings);
    // One that was refused was not accepted: nothing is promised of it.
    const sent = results.flatMap((result, index): Sent[] =>
      result instanceof SealdexError ? [] : [{ tenant: sendings[index]?.tenant ?? '', jobId: result.jobId, sentAt }],
    );
    this.#sent.push(...sent);
    await this.#stored(sent.filter(({ tenant }) => tenant !== apart));
    await sleep(systemClock, BETWEEN_ROUNDS_MS, signal);
  }

  /** Milliseconds from sent to stored, of the others' documents that were sent in that time (wall clock). */
  waits(from: number, to: number): number[] {
    return this.#sent.flatMap(({ sentAt, storedAt }) =>
      storedAt !== undefined && sentAt >= from && sentAt < to ? [Math.max(0, storedAt - sentAt)] : [],
    );
  }

  async #stored(sent: readonly Sent[]): Promise<void> {
    const { producer, signal } = this.#deps;
    const until = systemClock.monotonic() + ROUND_MS;
    let left = sent;
    while (left.length > 0 && systemClock.monotonic() < until) {
      await sleep(systemClock, LOOK_EVERY_MS, signal);
      for (const each of left) {
        const { state, since } = await producer.status(each.jobId);
        if (state === 'done' && since !== undefined) each.storedAt = since;
      }
      left = left.filter(({ storedAt }) => storedAt === undefined);
    }
  }

  /** The files again and again, as documents of their own. */
  #next(tenant: string): Sending {
    const file = this.#files[this.#documents % this.#files.length];
    if (!file) throw new Error('The demo needs a document that is small.');
    this.#documents += 1;
    const document = { ...pageOf(file, 'structured'), id: `${file.path}#${this.#documents}` };
    return { tenant, corpus: CORPUS, document };
  }
}

/** 0 of none. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
