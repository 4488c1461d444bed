// What each data key has encrypted in this process: AES-GCM with random message ids bears so many messages and bytes.
// Keys are ids here.

export interface UsageLimits {
  readonly messages: number;
  readonly bytes: number;
}

export const LIMITS: UsageLimits = Object.freeze({ messages: 2 ** 32, bytes: 2 ** 40 });

export class KeyUsage {
  readonly #limits: UsageLimits;
  readonly #most: number;
  /** Oldest first: a key that was wiped and unwrapped again goes on counting. */
  readonly #used = new Map<string, { messages: number; bytes: number }>();

  constructor(limits: UsageLimits, most: number) {
    this.#limits = limits;
    this.#most = most;
  }

  /** Counts a message of so many bytes; false when the key may not encrypt it. A key alone is never too small. */
  count(keyId: string, bytes: number): boolean {
    let used = this.#used.get(keyId);
    if (!used) {
      const [oldest] = this.#used.keys();
      if (this.#used.size >= this.#most && oldest !== undefined) this.#used.delete(oldest);
      this.#used.set(keyId, (used = { messages: 0, bytes: 0 }));
    }
    const isOver = used.messages + 1 > this.#limits.messages || used.bytes + bytes > this.#limits.bytes;
    if (isOver && used.messages > 0) return false;
    used.messages += 1;
    used.bytes += bytes;
    return true;
  }
}
