// Who watches a key ring: hears what KMS says, and says when keys at hand may not be used. Types only.
import type { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';

/** Hears of every KMS call for a tenant's documents, before and after, and is asked before a key at hand is used. */
export interface KmsCallObserver {
  /**
   * undefined when what this process knows of the gates counts. Else, as after a freeze, resolves when it has looked, and
   * has wiped the keys whose gate was shut meanwhile.
   * @throws SealdexError `REDIS_FAILED`
   */
  refresh(): Promise<void> | undefined;
  /** @throws SealdexError when KMS must not be asked now */
  begin(call: KeyRef): {
    ok(): void;
    /** Answers the error that the call's users get. */
    failed(error: SealdexError): Promise<SealdexError>;
  };
}

export const NO_OBSERVER: KmsCallObserver = {
  refresh: () => undefined,
  begin: () => ({ ok() {}, failed: async (error) => error }),
};
