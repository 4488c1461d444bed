// So many at a time: the others wait in line until a slot is free or their signal is aborted. The line is as long as
// there are callers.

export class Slots {
  readonly #size: number;
  readonly #line = new Set<() => void>();
  #busy = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get busy(): number {
    return this.#busy;
  }

  get waiting(): number {
    return this.#line.size;
  }

  /** A slot, given back by disposing. Rejects with the signal's reason when it is aborted before. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#busy < this.#size) this.#busy += 1;
    else await this.#turn(signal);
    return { [Symbol.dispose]: () => this.#giveBack() };
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      // One that was given its slot is no longer in line.
      if (this.#line.delete(resolve)) reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#line.add(resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** A slot that somebody waits for changes hands and is never free in between. */
  #giveBack(): void {
    const [next] = this.#line;
    if (!next) {
      this.#busy -= 1;
      return;
    }
    this.#line.delete(next);
    next();
  }
}
