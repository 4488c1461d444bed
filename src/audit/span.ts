// Time span: the number of records that were read, and the times of the first and the last.

export interface SpanFacts {
  readonly count: number;
  /** Wall clock, milliseconds. */
  readonly first?: number;
  readonly last?: number;
}

export class Span {
  #count = 0;
  #first = Infinity;
  #last = -Infinity;

  add(at: number): void {
    this.#count += 1;
    this.#first = Math.min(this.#first, at);
    this.#last = Math.max(this.#last, at);
  }

  facts(): SpanFacts {
    return this.#count === 0 ? { count: 0 } : { count: this.#count, first: this.#first, last: this.#last };
  }
}
