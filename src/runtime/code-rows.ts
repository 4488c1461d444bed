// Rows of the code table: the form of a row, and a maker for each disposition.

/** What a worker does with a job that ends with a code; `none`: the code is only returned to callers. */
export type Disposition = 'park' | 'retry' | 'defer' | 'pause' | 'dead' | 'none';

/** A row of the code table. */
export interface CodeRow {
  /** Effect on a job that ends with the code. */
  readonly disposition: Disposition;
  /**
   * For `retry`: maximum attempts of a job; 0: retries use no attempts. Two exceptions: an S3 refusal while the canary
   * succeeds uses one of 8, and a job from a newer producer ends after an hour.
   */
  readonly attempts?: number;
  /** Exit code of commands. */
  readonly exit: number;
  /** What happened: a clause without capital letter and full stop. */
  readonly description: string;
  /** What to do: an imperative without capital letter and full stop. */
  readonly remedy: string;
}

const row = (disposition: Disposition, exit: number, description: string, remedy: string): CodeRow =>
  Object.freeze({ disposition, exit, description, remedy });

export const park = (description: string, remedy: string): CodeRow => row('park', 75, description, remedy);

export const retry = (exit: number, attempts: number, description: string, remedy: string): CodeRow =>
  Object.freeze({ ...row('retry', exit, description, remedy), attempts });

export const defer = (description: string, remedy: string): CodeRow => row('defer', 75, description, remedy);

export const pause = (description: string, remedy: string): CodeRow => row('pause', 69, description, remedy);

export const dead = (description: string, remedy: string, exit = 65): CodeRow => row('dead', exit, description, remedy);

/** A code that is only returned to callers. */
export const none = (exit: number, description: string, remedy: string): CodeRow =>
  row('none', exit, description, remedy);
