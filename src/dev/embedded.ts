// Redis, S3 and KMS together, with a bucket and a platform key, and the settings that point to them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Settings } from '../runtime/config.ts';
import { claimFolder, type FolderClaim } from './folder-claim.ts';
import { type KmsServer, startKms } from './kms/server.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { type S3Server, startS3 } from './s3.ts';

export interface Services {
  readonly settings: Settings;
  readonly redis: RedisServer;
  readonly s3: S3Server;
  readonly kms: KmsServer;
  stop(): Promise<void>;
}

export interface ServicesOptions {
  /** Where everything is kept; a restart there finds the same keys, objects and queues. Without: nothing is kept. */
  readonly dir?: string;
  readonly ports?: {
    readonly redis?: number;
    readonly s3?: number;
    readonly kms?: number;
    readonly host?: string;
  };
  /** Ends a start that is under way: what has started is stopped, and the start rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Stoppable {
  stop(): Promise<void>;
}

export const LOCAL_BUCKET = 'sealdex-local';
const PLATFORM_KEY = 'platform key';

/**
 * Starts all three at once; when one fails, the others are stopped and its error is thrown.
 * @throws Error, one sentence, when another process uses the folder.
 */
export async function startServices(options: ServicesOptions = {}): Promise<Services> {
  const claim = options.dir === undefined ? undefined : await claimFolder(options.dir);
  try {
    return await startInside(options, claim);
  } catch (error) {
    await claim?.stop();
    throw error;
  }
}

async function startInside(options: ServicesOptions, claim: FolderClaim | undefined): Promise<Services> {
  const { dir, ports = {}, signal } = options;
  const at = (port: number | undefined): { port?: number; host?: string } => ({
    ...(port === undefined ? {} : { port }),
    ...(ports.host === undefined ? {} : { host: ports.host }),
  });
  const started = await Promise.allSettled([
    startRedis({
      ...at(ports.redis),
      ...(dir === undefined ? {} : { dir: join(dir, 'redis-data') }),
      ...(signal === undefined ? {} : { signal }),
    }),
    startS3({ ...at(ports.s3), ...(dir === undefined ? {} : { dir: join(dir, 's3') }) }),
    startKms({
      ...at(ports.kms),
      ...(dir === undefined ? {} : { stateFile: join(dir, 'kms.json'), trailFile: join(dir, 'cloudtrail.jsonl') }),
    }),
  ]);
  const [redis, s3, kms] = started;
  if (redis.status === 'rejected' || s3.status === 'rejected' || kms.status === 'rejected') {
    await stopAll(started.flatMap((one): Stoppable[] => (one.status === 'fulfilled' ? [one.value] : [])));
    throw started.find((one) => one.status === 'rejected')?.reason;
  }
  const audit = await auditFolder(dir);
  const services = servicesOf(redis.value, s3.value, kms.value, audit, claim);
  if (signal?.aborted) {
    await services.stop();
    throw signal.reason;
  }
  return services;
}

/** Not standard output, where the answers of commands are. */
async function auditFolder(dir: string | undefined): Promise<{ readonly path: string } & Stoppable> {
  if (dir !== undefined) return { path: resolve(dir), stop: async () => {} };
  const path = await mkdtemp(join(tmpdir(), 'sealdex-audit-'));
  return { path, stop: () => rm(path, { recursive: true, force: true }) };
}

function servicesOf(
  redis: RedisServer,
  s3: S3Server,
  kms: KmsServer,
  audit: { readonly path: string } & Stoppable,
  claim: FolderClaim | undefined,
): Services {
  s3.createBucket(LOCAL_BUCKET);
  let stopping: Promise<void> | undefined;
  return {
    settings: Object.freeze({
      REDIS_URL: redis.url,
      SEALDEX_AUDIT_LOG: join(audit.path, 'audit.jsonl'),
      ...awsSettings(s3, kms, LOCAL_BUCKET, platformKeyOf(kms)),
    }),
    redis,
    s3,
    kms,
    stop: () => (stopping ??= release([redis, s3, kms, audit], claim)),
  };
}

/** The settings that point the SDK's clients to these servers. */
export const awsSettings = (s3: S3Server, kms: KmsServer, bucket: string, platformKeyArn: string): Settings => ({
  SEALDEX_BUCKET: bucket,
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

/** The folder is free for others when nobody writes there any more. */
async function release(parts: readonly Stoppable[], claim: FolderClaim | undefined): Promise<void> {
  try {
    await stopAll(parts);
  } finally {
    await claim?.stop();
  }
}

/** Stops all, even when one fails; the first error is thrown after that. */
async function stopAll(parts: readonly Stoppable[]): Promise<void> {
  const ended = await Promise.allSettled(parts.map((part) => part.stop()));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}
