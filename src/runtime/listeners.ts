// Listeners of one event. They connect a source and a handler that do not import each other.

export class Listeners<T> {
  readonly #all = new Set<(value: T) => void>();

  /** Returns a function that removes the listener. */
  add(listener: (value: T) => void): () => void {
    this.#all.add(listener);
    return () => void this.#all.delete(listener);
  }

  notify(value: T): void {
    for (const listener of this.#all) listener(value);
  }
}
