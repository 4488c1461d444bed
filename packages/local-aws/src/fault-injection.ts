// The book of faults that a test sets on an embedded service: which calls they meet, how often, and waiting them out.
// Knows nothing of S3 or KMS; each service says what its calls look like and what its faults do.

export interface Rule<Match, Fault> {
  /** Which calls it meets; what is left out meets all. */
  readonly match?: Match;
  readonly fault: Fault;
  /** For how many calls it lasts; without: until cleared. */
  readonly times?: number;
}

/** What `set` answers: ends that one fault, and tells how many calls it met and how many wait on it right now. */
export interface SetFault {
  clear(): void;
  readonly met: number;
  readonly waiting: number;
}

/** A fault that meets a call, and the way to wait it out: until it is cleared, `ms` have passed, or `gone` is aborted. */
export interface MatchedFault<Fault> {
  readonly fault: Fault;
  readonly wait: (gone: AbortSignal, ms?: number) => Promise<void>;
}

interface Entry<Match, Fault> {
  readonly rule: Rule<Match, Fault>;
  readonly cleared: AbortController;
  /** How many calls matched, met or spared. */
  seen: number;
  met: number;
  waiting: number;
}

export class FaultBook<Call, Match, Fault> {
  readonly #entries = new Set<Entry<Match, Fault>>();
  readonly #meets: (match: Match, call: Call) => boolean;
  readonly #spares: (fault: Fault, seen: number) => boolean;

  /** `spares` lets a fault leave out some of the calls that match it, by their number from 1. */
  constructor(
    matches: (match: Match, call: Call) => boolean,
    spares: (fault: Fault, seen: number) => boolean = () => false,
  ) {
    this.#meets = matches;
    this.#spares = spares;
  }

  set(rule: Rule<Match, Fault>): SetFault {
    const entry: Entry<Match, Fault> = { rule, cleared: new AbortController(), seen: 0, met: 0, waiting: 0 };
    this.#entries.add(entry);
    return {
      clear: () => this.#remove(entry),
      get met() {
        return entry.met;
      },
      get waiting() {
        return entry.waiting;
      },
    };
  }

  /** Ends all faults; calls that hang go on. */
  clear(): void {
    for (const entry of this.#entries) this.#remove(entry);
  }

  /** The faults that meet this call, oldest first. */
  take(call: Call): MatchedFault<Fault>[] {
    const taken: MatchedFault<Fault>[] = [];
    for (const entry of this.#entries) {
      const { match, fault, times } = entry.rule;
      // A used-up fault stays until it is cleared: calls that hang on it wait for that.
      if (times !== undefined && entry.met >= times) continue;
      if (match !== undefined && !this.#meets(match, call)) continue;
      entry.seen += 1;
      if (this.#spares(fault, entry.seen)) continue;
      entry.met += 1;
      taken.push({ fault, wait: (gone, ms) => waitOut(entry, gone, ms) });
    }
    return taken;
  }

  #remove(entry: Entry<Match, Fault>): void {
    this.#entries.delete(entry);
    entry.cleared.abort();
  }
}

async function waitOut<M, F>(entry: Entry<M, F>, gone: AbortSignal, ms: number | undefined): Promise<void> {
  const over = AbortSignal.any([entry.cleared.signal, gone]);
  entry.waiting += 1;
  try {
    await new Promise<void>((resolve) => {
      if (over.aborted) return resolve();
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      over.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  } finally {
    entry.waiting -= 1;
  }
}
