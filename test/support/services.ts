// What a test needs of the outside: an S3 and a KMS of its own, and the run's Redis with a queue name of its own.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '../../src/runtime/config.ts';
import { type KmsServer, startKms, type S3Server, startS3 } from '@sealdex/local-aws';
import { awsSettings } from '../../src/cli/dev/local-services.ts';
import { removeKeys, testRedisUrl } from './redis.ts';

export interface TestServices extends AsyncDisposable {
  readonly settings: Settings;
  readonly s3: S3Server;
  readonly kms: KmsServer;
  readonly redisUrl: string;
  /** Where everything that has the settings writes its audit lines. */
  readonly auditFile: string;
}

/** Use it with `await using`: it stops both servers and removes the queue's keys from Redis. */
export async function testServices(): Promise<TestServices> {
  const redisUrl = testRedisUrl();
  const unique = randomBytes(6).toString('hex');
  const queue = `t-${unique}`;
  const bucket = `test-${unique}`;
  const [s3, kms] = await Promise.all([startS3(), startKms()]);
  s3.createBucket(bucket);
  const auditFile = join(tmpdir(), `sealdex-audit-${unique}.jsonl`);
  const settings: Settings = Object.freeze({
    REDIS_URL: redisUrl,
    SEALDEX_QUEUE: queue,
    SEALDEX_AUDIT_LOG: auditFile,
    ...awsSettings(s3, kms, bucket, kms.createKey({ description: 'platform key' })),
  });
  return {
    settings,
    s3,
    kms,
    redisUrl,
    auditFile,
    async [Symbol.asyncDispose]() {
      await Promise.all([s3.stop(), kms.stop(), removeKeys(redisUrl, `sealdex:{${queue}}`)]);
      await rm(auditFile, { force: true });
    },
  };
}
