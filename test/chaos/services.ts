// Services of a chaos run: a persistent Redis of its own that can be killed and started again, S3, KMS, and the clients.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '@sealdex/local-aws';
import { createOperator, createProducer, createReader } from '../../src/app/app.ts';
import type { Operator } from '../../src/operator/operator.ts';
import type { Producer } from '../../src/producer/producer.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';
import { repeated } from './repeated.ts';
import { TENANTS, type Tenant } from './schedule.ts';

export interface ChaosServices extends AsyncDisposable {
  readonly settings: Settings;
  readonly aws: AwsServices;
  readonly producer: Producer;
  readonly reader: Reader;
  readonly operator: Operator;
  readonly store: Store;
  /** Waits for Redis without limit. */
  readonly redis: Redis;
  readonly redisPid: () => number;
  readonly startRedisAgain: () => Promise<void>;
  /** Current KMS key of each tenant with a key of its own. */
  readonly keys: Map<Tenant, string>;
  readonly platformKey: string;
  /** Folder of the append-only file and of the logs. */
  readonly dir: string;
  readonly logFile: string;
}

const settingsOf = (aws: AwsServices, redisUrl: string): Settings => ({
  ...aws.settings,
  REDIS_URL: redisUrl,
  SEALDEX_LOG_LEVEL: 'trace',
  SEALDEX_PORT: 0,
  SEALDEX_CONCURRENCY: 8,
  SEALDEX_UPLOAD_CONCURRENCY: 1,
  SEALDEX_DRAIN_MS: 1000,
  SEALDEX_STOP_MS: 3000,
  SEALDEX_PROBE_MIN_MS: 200,
  SEALDEX_PROBE_MAX_MS: 600,
  SEALDEX_KEY_CHECK_MS: 1000,
});

export async function startChaosServices(): Promise<ChaosServices> {
  await using opened = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-chaos-'));
  opened.defer(() => rm(dir, { recursive: true, force: true }));
  const aws = opened.use(await awsServices());
  let server: RedisServer = await startRedis({ dir: join(dir, 'redis') });
  opened.defer(() => server.stop());
  const settings = settingsOf(aws, server.url);
  const redis = opened.adopt(new Redis(server.url, { maxRetriesPerRequest: null }), (client) => client.disconnect());
  redis.on('error', () => {});
  // A killed Redis has lost no acknowledged command only with this.
  await redis.config('SET', 'appendfsync', 'always');
  const operator = opened.use(await repeated(() => createOperator(settings, { env: {} })));
  const producer = opened.use(await repeated(() => createProducer(settings, { env: {} })));
  const reader = opened.use(await repeated(() => createReader(settings, { env: {} })));
  const store = opened.adopt(createStore(loadConfig(settings, {}), 'patient'), (client) => client.close());
  const keys = new Map<Tenant, string>();
  for (const tenant of TENANTS) {
    const kmsKeyArn = tenant === 'platform' ? undefined : aws.kms.createKey();
    if (kmsKeyArn !== undefined) keys.set(tenant, kmsKeyArn);
    const plan = kmsKeyArn === undefined ? 'free' : 'pro';
    const change = { plan, keepOriginals: tenant !== 'own-a', ...(kmsKeyArn && { kmsKeyArn }) } as const;
    await repeated(() => operator.putTenant(tenant, change));
  }
  const all = opened.move();
  return {
    settings,
    aws,
    producer,
    reader,
    operator,
    store,
    redis,
    redisPid: () => server.pid,
    async startRedisAgain() {
      server = await startRedis({ dir: join(dir, 'redis'), port: server.port });
      await redis.config('SET', 'appendfsync', 'always');
    },
    keys,
    platformKey: String(settings.SEALDEX_PLATFORM_KEY_ARN),
    dir,
    logFile: join(dir, 'workers.log'),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
