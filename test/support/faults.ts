// The faults that a test sets on a double: which calls they match, how often, and what waits on them.

export interface FaultRule<Match, Fault> {
  /** Which calls it matches; without: all. */
  readonly match?: Match;
  readonly fault: Fault;
  /** For how many calls it lasts; without: until cleared. */
  readonly times?: number;
}

export interface SetFault {
  clear(): void;
  /** How many calls it matched. */
  readonly met: number;
  /** How many calls wait on it now. */
  readonly waiting: number;
}

interface Entry<Match, Fault> {
  readonly rule: FaultRule<Match, Fault>;
  readonly cleared: AbortController;
  met: number;
  waiting: number;
}

export class Faults<Call, Match, Fault> {
  readonly #entries = new Set<Entry<Match, Fault>>();
  readonly #matches: (match: Match, call: Call) => boolean;

  constructor(matches: (match: Match, call: Call) => boolean) {
    this.#matches = matches;
  }

  set(rule: FaultRule<Match, Fault>): SetFault {
    const entry: Entry<Match, Fault> = { rule, cleared: new AbortController(), met: 0, waiting: 0 };
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

  /** The faults that this call meets, oldest first; `hang` waits until the fault is cleared or the signal is aborted. */
  take(call: Call): { readonly fault: Fault; readonly hang: (signal: AbortSignal) => Promise<void> }[] {
    const taken = [...this.#entries].filter(
      ({ rule: { match, times = Infinity }, met }) =>
        met < times && (match === undefined || this.#matches(match, call)),
    );
    return taken.map((entry) => {
      entry.met += 1;
      return { fault: entry.rule.fault, hang: (signal) => hang(entry, signal) };
    });
  }

  #remove(entry: Entry<Match, Fault>): void {
    this.#entries.delete(entry);
    entry.cleared.abort();
  }
}

async function hang<M, F>(entry: Entry<M, F>, signal: AbortSignal): Promise<void> {
  const over = AbortSignal.any([entry.cleared.signal, signal]);
  entry.waiting += 1;
  await new Promise<void>((resolve) => {
    if (over.aborted) resolve();
    else over.addEventListener('abort', () => resolve(), { once: true });
  });
  entry.waiting -= 1;
}
