// S3 adapter of the bucket settings.
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  type LifecycleRule as Rule,
} from '@aws-sdk/client-s3';
import type { Config } from '../../runtime/config.ts';
import type { SealdexError } from '../../runtime/errors.ts';
import type { BucketSettings, LifecycleRule } from '../bucket-settings.ts';
import { isRefusal, StoreError } from '../store.ts';
import { openS3 } from './client.ts';
import { storeFault } from './s3-error-mapping.ts';

export function openBucketSettings(config: Config): BucketSettings {
  const client = openS3(config, false);
  const Bucket = config.bucket;

  /** `none`: the S3 error for a bucket without this setting. */
  async function read<T>(
    signal: AbortSignal,
    none: string | undefined,
    send: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await send();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (none !== undefined && error instanceof Error && error.name === none) return undefined;
      throw settingFault(error);
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
      const send = () => client.send(command, { abortSignal: signal });
      const answer = await read(signal, 'NoSuchLifecycleConfiguration', send);
      return (answer?.Rules ?? []).filter(({ Status }) => Status === 'Enabled').map(ruleOf);
    },
    async encryption(signal) {
      const command = new GetBucketEncryptionCommand({ Bucket });
      const send = () => client.send(command, { abortSignal: signal });
      const answer = await read(signal, 'ServerSideEncryptionConfigurationNotFoundError', send);
      const [rule] = answer?.ServerSideEncryptionConfiguration?.Rules ?? [];
      const { SSEAlgorithm, KMSMasterKeyID } = rule?.ApplyServerSideEncryptionByDefault ?? {};
      return KMSMasterKeyID === undefined ? SSEAlgorithm : `${SSEAlgorithm} ${KMSMasterKeyID}`;
    },
    close: () => client.destroy(),
  };
}

/** A store without this setting may respond with MethodNotAllowed, which has other meanings for objects. */
function settingFault(error: unknown): SealdexError {
  const fault = storeFault(error);
  if (!isRefusal(fault) || fault.reason !== 'MethodNotAllowed') return fault;
  return new StoreError('unsupported', fault.reason, { cause: error, requestId: fault.requestId });
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
