// Slots: limit concurrency. Callers wait in an unbounded queue until a slot is free or their signal is aborted.

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

  /** Takes a slot; disposing releases it. Rejects with the signal's reason if it is aborted first. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#busy < this.#size) this.#busy += 1;
    else await this.#turn(signal);
    return { [Symbol.dispose]: () => this.#giveBack() };
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      // A caller that already has its slot is no longer in the queue.
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

  /** A slot passes directly to the next waiter and is never free in between. */
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
