// Observer of a key ring: is notified of KMS calls, and can stop the use of cached keys. Types only.
import type { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';

/** Notified before and after every KMS call for a tenant's documents, and before a cached key is used. */
export interface KmsCallObserver {
  /**
   * Undefined if this process's view of the gates is current. Otherwise, for example after a freeze, resolves when the gates have
   * been read and the keys of shut gates erased.
   * @throws SealdexError `REDIS_FAILED`
   */
  refresh(): Promise<void> | undefined;
  /** @throws SealdexError if KMS must not be called now */
  begin(call: KeyRef): {
    ok(): void;
    /** Returns the error for the users of the call. */
    failed(error: SealdexError): Promise<SealdexError>;
  };
}

export const NO_OBSERVER: KmsCallObserver = {
  refresh: () => undefined,
  begin: () => ({ ok() {}, failed: async (error) => error }),
};
