// Adaptive concurrency limit: how many background tasks run at once, by how busy the event loop is.

/** The share of the time since the last call in which the event loop was busy, 0 to 1. */
export type BusyShare = () => number;

const MAX_LIMIT = 16;
/** With 1, re-encryption takes twice as long; with 4, other jobs are slowed down (bench/reencrypt.ts). */
const MIN_LIMIT = 2;
const TASKS_PER_CHECK = 16;
/** Below this share the limit grows by half; the tasks then mostly wait for S3, which may be far away. */
const IDLE_SHARE = 0.35;
/** Above this share the limit is halved. */
const BUSY_SHARE = 0.6;

export class AdaptiveConcurrency {
  readonly #busyShare: BusyShare;
  #limit = MIN_LIMIT;
  #isIdle = false;
  #finished = 0;

  constructor(busyShare: BusyShare) {
    this.#busyShare = busyShare;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Whether the event loop was mostly idle at the last check, so that background tasks delay no other job. */
  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** Call before the first task after a break, so that the load during the break does not change the limit. */
  begin(): void {
    this.#finished = 0;
    this.#busyShare();
  }

  onFinish(): void {
    this.#finished += 1;
    if (this.#finished < TASKS_PER_CHECK) return;
    this.#finished = 0;
    const share = this.#busyShare();
    this.#isIdle = share < IDLE_SHARE;
    if (this.#isIdle) this.#limit = Math.min(MAX_LIMIT, Math.ceil(this.#limit * 1.5));
    if (share > BUSY_SHARE) this.#limit = Math.max(MIN_LIMIT, Math.floor(this.#limit / 2));
  }
}
