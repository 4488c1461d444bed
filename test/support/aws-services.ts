// An S3 and a KMS for one test, both in its process, with settings that point to them and to no Redis.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KmsServer, startKms, type S3Server, startS3 } from '@sealdex/local-aws';
import { awsSettings } from '../../src/cli/dev/local-services.ts';
import type { Settings } from '../../src/runtime/config.ts';

export interface AwsServices extends AsyncDisposable {
  readonly settings: Settings;
  readonly s3: S3Server;
  readonly kms: KmsServer;
  /** Every process with the settings writes its audit lines there. */
  readonly auditFile: string;
}

/** Use it with `await using`: it stops both servers. */
export async function awsServices(): Promise<AwsServices> {
  const unique = randomBytes(6).toString('hex');
  const bucket = `test-${unique}`;
  const [s3, kms] = await Promise.all([startS3(), startKms()]);
  s3.createBucket(bucket);
  const auditFile = join(tmpdir(), `sealdex-audit-${unique}.jsonl`);
  const settings: Settings = Object.freeze({
    // No server listens there: a test that needs Redis takes testServices().
    REDIS_URL: 'redis://127.0.0.1:1',
    SEALDEX_QUEUE: `t-${unique}`,
    SEALDEX_AUDIT_LOG: auditFile,
    ...awsSettings(s3, kms, bucket, kms.createKey({ description: 'platform key' })),
  });
  return {
    settings,
    s3,
    kms,
    auditFile,
    async [Symbol.asyncDispose]() {
      await Promise.all([s3.stop(), kms.stop()]);
      await rm(auditFile, { force: true });
    },
  };
}
