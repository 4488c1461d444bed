// Fault injection: the faults that a test sets on a local service, which calls they match, how often, and how they end.
// Must not import S3 or KMS code: each service defines its calls and the effect of its faults.

export interface Rule<Match, Fault> {
  /** Calls that the fault applies to; all calls by default. */
  readonly match?: Match;
  readonly fault: Fault;
  /** Number of calls that the fault applies to; without it, until cleared. */
  readonly times?: number;
}

/** A fault that was set. `clear` ends it. */
export interface SetFault {
  clear(): void;
  /** Number of calls that the fault was applied to. */
  readonly met: number;
  /** Number of calls that wait because of the fault now. */
  readonly waiting: number;
}

/** A fault that applies to a call. `wait` resolves when the fault is cleared, `ms` have passed, or `gone` is aborted. */
export interface MatchedFault<Fault> {
  readonly fault: Fault;
  readonly wait: (gone: AbortSignal, ms?: number) => Promise<void>;
}

interface Entry<Match, Fault> {
  readonly rule: Rule<Match, Fault>;
  readonly cleared: AbortController;
  /** Number of calls that matched, including skipped ones. */
  seen: number;
  met: number;
  waiting: number;
}

export class FaultBook<Call, Match, Fault> {
  readonly #entries = new Set<Entry<Match, Fault>>();
  readonly #matches: (match: Match, call: Call) => boolean;
  readonly #spares: (fault: Fault, seen: number) => boolean;

  /** `spares` returns true for matching calls that the fault skips, by their number from 1. */
  constructor(
    matches: (match: Match, call: Call) => boolean,
    spares: (fault: Fault, seen: number) => boolean = () => false,
  ) {
    this.#matches = matches;
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

  /** Ends all faults; waiting calls continue. */
  clear(): void {
    for (const entry of this.#entries) this.#remove(entry);
  }

  /** Returns the faults that apply to this call, oldest first, and counts them. */
  take(call: Call): MatchedFault<Fault>[] {
    const taken: MatchedFault<Fault>[] = [];
    for (const entry of this.#entries) {
      const { match, fault, times } = entry.rule;
      // A used-up fault stays until it is cleared, because calls may still wait for that.
      if (times !== undefined && entry.met >= times) continue;
      if (match !== undefined && !this.#matches(match, call)) continue;
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
  const ended = AbortSignal.any([entry.cleared.signal, gone]);
  entry.waiting += 1;
  try {
    await new Promise<void>((resolve) => {
      if (ended.aborted) return resolve();
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      ended.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  } finally {
    entry.waiting -= 1;
  }
}
