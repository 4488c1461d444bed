// Usage of each data key in this process: AES-GCM with random message ids limits the messages and bytes per key.

export interface UsageLimits {
  readonly messages: number;
  readonly bytes: number;
}

export const LIMITS: UsageLimits = Object.freeze({ messages: 2 ** 32, bytes: 2 ** 40 });

export class KeyUsage {
  readonly #limits: UsageLimits;
  readonly #most: number;
  /** Oldest first: a key that was erased and unwrapped again continues its count. */
  readonly #used = new Map<string, { messages: number; bytes: number }>();

  constructor(limits: UsageLimits, most: number) {
    this.#limits = limits;
    this.#most = most;
  }

  /** Counts a message of `bytes`. Returns false if the key must not encrypt it. A new key accepts any message. */
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
