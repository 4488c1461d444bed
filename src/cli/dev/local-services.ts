// Local installation: local services with a bucket, a platform key and an audit log, and the settings for them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { KmsServer, LocalAws, LocalAwsOptions, S3Server } from '@sealdex/local-aws';
import type { Settings } from '../../runtime/config.ts';
import { loadLocalAws } from './local-package.ts';

export interface Services extends LocalAws {
  readonly settings: Settings;
}

const LOCAL_BUCKET = 'sealdex-local';
const PLATFORM_KEY = 'platform key';

/** Settings that direct the SDK clients to these servers. */
export const awsSettings = (s3: S3Server, kms: KmsServer, bucket: string, platformKeyArn: string): Settings => ({
  SEALDEX_BUCKET: bucket,
  SEALDEX_WHEN_KEY_SHUT: 'park',
  SEALDEX_PLATFORM_KEY_ARN: platformKeyArn,
  SEALDEX_S3_FORCE_PATH_STYLE: 'true',
  AWS_REGION: kms.region,
  AWS_ENDPOINT_URL_S3: s3.endpoint,
  AWS_ENDPOINT_URL_KMS: kms.endpoint,
  AWS_ENDPOINT_URL_STS: kms.endpoint,
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
});

const platformKeyOf = (kms: KmsServer): string =>
  kms.keys().find((key) => key.description === PLATFORM_KEY)?.arn ?? kms.createKey({ description: PLATFORM_KEY });

/** @throws Error as startLocalAws(); MissingPrerequisiteError if @sealdex/local-aws is not installed */
export async function startServices(options: LocalAwsOptions = {}): Promise<Services> {
  const { startLocalAws } = await loadLocalAws();
  const local = await startLocalAws(options);
  try {
    const audit = await auditFolder(options.dir);
    local.s3.createBucket(LOCAL_BUCKET);
    const stop = async (): Promise<void> => {
      try {
        await local.stop();
      } finally {
        await audit.remove();
      }
    };
    let stopping: Promise<void> | undefined;
    return {
      ...local,
      settings: Object.freeze({
        REDIS_URL: local.redis.url,
        SEALDEX_AUDIT_LOG: join(audit.path, 'audit.jsonl'),
        ...awsSettings(local.s3, local.kms, LOCAL_BUCKET, platformKeyOf(local.kms)),
      }),
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await local.stop();
    throw error;
  }
}

/** Folder of the audit log, which must not go to standard output, where commands print their results. */
async function auditFolder(dir: string | undefined): Promise<{ path: string; remove: () => Promise<void> }> {
  if (dir !== undefined) return { path: resolve(dir), remove: async () => {} };
  const path = await mkdtemp(join(tmpdir(), 'sealdex-audit-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}
