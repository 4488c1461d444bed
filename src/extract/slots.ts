// So many at a time: the others wait in line until a slot is free or their signal is aborted. The line is as long as
// there are callers.

export class Slots {
  readonly #size: number;
  readonly #line: (() => void)[] = [];
  #busy = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get busy(): number {
    return this.#busy;
  }

  get waiting(): number {
    return this.#line.length;
  }

  /** A slot, given back by disposing. Rejects with the signal's reason when it is aborted before. */
  async take(signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#busy < this.#size) this.#busy += 1;
    else await this.#turn(signal);
    return { [Symbol.dispose]: () => this.#giveBack() };
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#line.splice(this.#line.indexOf(go), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#line.push(go);
    });
  }

  /** A slot that somebody waits for changes hands and is never free in between. */
  #giveBack(): void {
    const next = this.#line.shift();
    if (next) next();
    else this.#busy -= 1;
  }
}
