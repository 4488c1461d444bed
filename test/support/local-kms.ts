// The adapters of the KMS over a local KMS, for tests that need nothing else: no Redis, no S3.
import { startKms, type KmsServer } from '@sealdex/local-aws';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';

export interface LocalKms extends AsyncDisposable {
  readonly kms: KmsServer;
  readonly config: Config;
  /** A client of one process. */
  connect(): Kms;
}

export async function openLocalKms(): Promise<LocalKms> {
  const kms = await startKms();
  const config = loadConfig(
    {
      REDIS_URL: 'redis://127.0.0.1:1',
      SEALDEX_BUCKET: 'no-bucket',
      SEALDEX_PLATFORM_KEY_ARN: kms.createKey(),
      AWS_REGION: kms.region,
      AWS_ENDPOINT_URL_KMS: kms.endpoint,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    },
    {},
  );
  return {
    kms,
    config,
    connect: () => createKms(config, createMetrics(), noAudit, 'patient'),
    [Symbol.asyncDispose]: () => kms.stop(),
  };
}
