// What the bucket itself is set to: versions, lifecycle rules, encryption. Read only, and only where somebody looks at it.
// What that means for us is src/doctor's business.
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  type LifecycleRule as Rule,
} from '@aws-sdk/client-s3';
import type { Config } from '../../runtime/config.ts';
import { openS3 } from './client.ts';
import { storeFault } from './s3-error-mapping.ts';

export interface LifecycleRule {
  readonly id: string;
  /** What the keys begin with; empty: all of them. */
  readonly prefix: string;
  /** Only objects with tags, of which we write none. */
  readonly isForTagged: boolean;
  /** Current objects are removed, so many days after they were written or at a date. */
  readonly expiresAfterDays?: number | undefined;
  readonly expiresAt?: Date | undefined;
  /** Storage classes that current objects are moved to. */
  readonly movesTo: readonly string[];
  /** Versions that are no longer current are removed after so many days. */
  readonly dropsVersionsAfterDays?: number | undefined;
}

/** All throw SealdexError `STORE_FAILED` with S3's own name of a refusal as reason, `PLATFORM_CREDENTIALS`, or the signal's reason. */
export interface BucketSettings {
  versioning(signal: AbortSignal): Promise<'off' | 'on' | 'suspended'>;
  /** Those that are enabled. */
  lifecycle(signal: AbortSignal): Promise<LifecycleRule[]>;
  /** What new objects are encrypted with: `AES256`, `aws:kms` and the key; undefined: S3 tells nothing. */
  encryption(signal: AbortSignal): Promise<string | undefined>;
  close(): void;
}

export function openBucketSettings(config: Config): BucketSettings {
  const client = openS3(config, false);
  const Bucket = config.bucket;

  /** `none`: S3's name for a bucket that has no such setting. */
  async function read<T>(signal: AbortSignal, none: string | undefined, ask: () => Promise<T>): Promise<T | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (none !== undefined && error instanceof Error && error.name === none) return undefined;
      throw storeFault(error);
    }
  }

  return {
    async versioning(signal) {
      const command = new GetBucketVersioningCommand({ Bucket });
      const answer = await read(signal, undefined, () => client.send(command, { abortSignal: signal }));
      return answer?.Status === 'Enabled' ? 'on' : answer?.Status === 'Suspended' ? 'suspended' : 'off';
    },
    async lifecycle(signal) {
      const command = new GetBucketLifecycleConfigurationCommand({ Bucket });
      const ask = () => client.send(command, { abortSignal: signal });
      const answer = await read(signal, 'NoSuchLifecycleConfiguration', ask);
      return (answer?.Rules ?? []).filter(({ Status }) => Status === 'Enabled').map(ruleOf);
    },
    async encryption(signal) {
      const command = new GetBucketEncryptionCommand({ Bucket });
      const ask = () => client.send(command, { abortSignal: signal });
      const answer = await read(signal, 'ServerSideEncryptionConfigurationNotFoundError', ask);
      const [rule] = answer?.ServerSideEncryptionConfiguration?.Rules ?? [];
      const { SSEAlgorithm, KMSMasterKeyID } = rule?.ApplyServerSideEncryptionByDefault ?? {};
      return KMSMasterKeyID === undefined ? SSEAlgorithm : `${SSEAlgorithm} ${KMSMasterKeyID}`;
    },
    close: () => client.destroy(),
  };
}

function ruleOf({ ID, Prefix, Filter, Expiration, Transitions, NoncurrentVersionExpiration }: Rule): LifecycleRule {
  const tags = [Filter?.Tag, ...(Filter?.And?.Tags ?? [])].filter((tag) => tag !== undefined);
  return {
    id: ID ?? 'unnamed',
    prefix: Filter?.Prefix ?? Filter?.And?.Prefix ?? Prefix ?? '',
    isForTagged: tags.length > 0,
    expiresAfterDays: Expiration?.Days,
    expiresAt: Expiration?.Date,
    movesTo: (Transitions ?? []).map(({ StorageClass }) => StorageClass ?? 'unknown'),
    dropsVersionsAfterDays: NoncurrentVersionExpiration?.NoncurrentDays,
  };
}
