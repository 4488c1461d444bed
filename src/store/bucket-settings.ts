// Port to the bucket's settings: versions, lifecycle rules, encryption. Read only.

export interface LifecycleRule {
  readonly id: string;
  /** Prefix of the keys; empty: all keys. */
  readonly prefix: string;
  /** Applies only to objects with tags; sealdex writes none. */
  readonly isForTagged: boolean;
  /** Current objects expire after this number of days, or at a date. */
  readonly expiresAfterDays?: number | undefined;
  readonly expiresAt?: Date | undefined;
  /** Storage classes to which current objects move. */
  readonly movesTo: readonly string[];
  /** Noncurrent versions expire after this number of days. */
  readonly dropsVersionsAfterDays?: number | undefined;
}

/**
 * All throw StoreError (`unsupported` if the store has no such setting), SealdexError `PLATFORM_CREDENTIALS`, or the signal's
 * reason.
 */
export interface BucketSettings {
  versioning(signal: AbortSignal): Promise<'off' | 'on' | 'suspended'>;
  /** The enabled rules. */
  lifecycle(signal: AbortSignal): Promise<LifecycleRule[]>;
  /** Default encryption of new objects: `AES256`, or `aws:kms` and the key. Undefined if the store returns none. */
  encryption(signal: AbortSignal): Promise<string | undefined>;
  close(): void;
}
