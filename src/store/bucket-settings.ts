// The port of the bucket's own settings: versions, lifecycle rules, encryption. Read only.

export interface LifecycleRule {
  readonly id: string;
  /** What the keys begin with; empty: all of them. */
  readonly prefix: string;
  /** Only objects with tags, of which sealdex writes none. */
  readonly isForTagged: boolean;
  /** Current objects are removed, so many days after they were written or at a date. */
  readonly expiresAfterDays?: number | undefined;
  readonly expiresAt?: Date | undefined;
  /** Storage classes that current objects are moved to. */
  readonly movesTo: readonly string[];
  /** Versions that are no longer current are removed after so many days. */
  readonly dropsVersionsAfterDays?: number | undefined;
}

/** All throw StoreError, `unsupported` when the store has no such setting, SealdexError `PLATFORM_CREDENTIALS`, or the signal's reason. */
export interface BucketSettings {
  versioning(signal: AbortSignal): Promise<'off' | 'on' | 'suspended'>;
  /** Those that are enabled. */
  lifecycle(signal: AbortSignal): Promise<LifecycleRule[]>;
  /** What new objects are encrypted with: `AES256`, `aws:kms` and the key; undefined: the store tells nothing. */
  encryption(signal: AbortSignal): Promise<string | undefined>;
  close(): void;
}
