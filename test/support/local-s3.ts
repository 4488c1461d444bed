// The adapter of the store over a local S3, for tests that need nothing else: no Redis, no KMS.
import { startS3, type S3Server } from '@sealdex/local-aws';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { Store } from '../../src/store/store.ts';

export interface LocalS3 extends AsyncDisposable {
  readonly s3: S3Server;
  readonly bucket: string;
  readonly config: Config;
  /** A client of one process. */
  connect(use?: 'patient' | 'prompt'): Store;
}

export async function openLocalS3(): Promise<LocalS3> {
  const bucket = 'test-bucket';
  const s3 = await startS3({ buckets: [bucket] });
  const config = loadConfig(
    {
      REDIS_URL: 'redis://127.0.0.1:1',
      SEALDEX_BUCKET: bucket,
      SEALDEX_S3_FORCE_PATH_STYLE: 'true',
      SEALDEX_PLATFORM_KEY_ARN: 'arn:aws:kms:us-west-2:000000000000:key/0',
      AWS_REGION: 'us-west-2',
      AWS_ENDPOINT_URL_S3: s3.endpoint,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    },
    {},
  );
  return {
    s3,
    bucket,
    config,
    connect: (use = 'patient') => createStore(config, use),
    [Symbol.asyncDispose]: () => s3.stop(),
  };
}
