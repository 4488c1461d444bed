// Width: how many of the things that can wait are done at once. They wait for S3 most of the time, which may be far away: more
// of them begin as long as they leave the event loop idle for most of it. What they are, it does not know.

/** The share of the time since it was last asked in which the event loop was at work, 0 to 1. */
export type BusyShare = () => number;

const MOST = 16;
/** With one at a time a move is half as fast; with four, others notice it (bench/reencrypt.ts). */
const LEAST = 2;
const LOOK_EVERY = 16;
/** Below, half as many more; above, half as many. */
const IDLE = 0.35;
const BUSY = 0.6;

export class Width {
  readonly #busyShare: BusyShare;
  #width = LEAST;
  #isIdle = false;
  #ended = 0;

  constructor(busyShare: BusyShare) {
    this.#busyShare = busyShare;
  }

  get width(): number {
    return this.#width;
  }

  /** Whether the event loop was idle for most of the time when it was last looked at: then nobody is in anybody's way. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** After a time in which nothing was done: what that was like tells nothing. */
  begin(): void {
    this.#ended = 0;
    this.#busyShare();
  }

  /** One of them has ended. */
  ended(): void {
    this.#ended += 1;
    if (this.#ended < LOOK_EVERY) return;
    this.#ended = 0;
    const share = this.#busyShare();
    this.#isIdle = share < IDLE;
    if (this.#isIdle) this.#width = Math.min(MOST, Math.ceil(this.#width * 1.5));
    if (share > BUSY) this.#width = Math.max(LEAST, Math.floor(this.#width / 2));
  }
}
