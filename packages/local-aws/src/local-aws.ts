// Local AWS: starts Redis, S3, KMS and STS together, with their data in one folder, and stops them together.
import { join } from 'node:path';
import { claimFolder, type FolderClaim } from './folder-claim.ts';
import { type KmsServer, startKms } from './kms/server.ts';
import { type RedisServer, startRedis } from './redis/redis.ts';
import { type S3Server, startS3 } from './s3/server.ts';

export interface LocalAws {
  readonly redis: RedisServer;
  readonly s3: S3Server;
  /** Also serves STS. */
  readonly kms: KmsServer;
  /** May be called twice. */
  stop(): Promise<void>;
}

export interface LocalAwsOptions {
  /** Folder for all data; a restart finds the same keys, objects and queues. Without it nothing is kept. */
  readonly dir?: string;
  readonly ports?: {
    readonly redis?: number;
    readonly s3?: number;
    readonly kms?: number;
    readonly host?: string;
  };
  /** AWS region of the keys; `us-west-2` by default. */
  readonly region?: string;
  /** Names of buckets that exist from the first request on. */
  readonly buckets?: readonly string[];
  /** Full ARNs of KMS keys that exist from the first request on. */
  readonly keyArns?: readonly string[];
  /** Aborts a start in progress: what has started is stopped, and the start rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Without Redis if `redis: false` was given. */
export type LocalAwsServices = Omit<LocalAws, 'redis'> & Partial<Pick<LocalAws, 'redis'>>;

interface WithRedis {
  /** `false` starts no Redis. */
  readonly redis?: boolean;
}

interface Stoppable {
  stop(): Promise<void>;
}

/**
 * Starts all services at once; if one fails, the others are stopped and its error is thrown.
 * @throws Error, one sentence, if another process uses the folder
 */
export async function startLocalAws(options: LocalAwsOptions & Required<WithRedis>): Promise<LocalAwsServices>;
export async function startLocalAws(options?: LocalAwsOptions): Promise<LocalAws>;
export async function startLocalAws(options: LocalAwsOptions & WithRedis = {}): Promise<LocalAwsServices> {
  const claim = options.dir === undefined ? undefined : await claimFolder(options.dir);
  try {
    return await startInside(options, claim);
  } catch (error) {
    await claim?.stop();
    throw error;
  }
}

const listenOptions = (port: number | undefined, host: string | undefined): { port?: number; host?: string } => ({
  ...(port === undefined ? {} : { port }),
  ...(host === undefined ? {} : { host }),
});

const startS3Of = ({ dir, ports = {}, buckets }: LocalAwsOptions): Promise<S3Server> =>
  startS3({
    ...listenOptions(ports.s3, ports.host),
    ...(dir === undefined ? {} : { dir: join(dir, 's3') }),
    ...(buckets === undefined ? {} : { buckets }),
  });

const startKmsOf = ({ dir, ports = {}, region, keyArns }: LocalAwsOptions): Promise<KmsServer> =>
  startKms({
    ...listenOptions(ports.kms, ports.host),
    ...(dir === undefined ? {} : { stateFile: join(dir, 'kms.json'), trailFile: join(dir, 'cloudtrail.jsonl') }),
    ...(region === undefined ? {} : { region }),
    ...(keyArns === undefined ? {} : { keyArns }),
  });

async function startInside(
  options: LocalAwsOptions & WithRedis,
  claim: FolderClaim | undefined,
): Promise<LocalAwsServices> {
  const started = await Promise.allSettled([startRedisOf(options), startS3Of(options), startKmsOf(options)]);
  const [redis, s3, kms] = started;
  if (redis.status === 'rejected' || s3.status === 'rejected' || kms.status === 'rejected') {
    await stopAll(started.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : [])));
    throw started.find((one) => one.status === 'rejected')?.reason;
  }
  const parts = { ...(redis.value ? { redis: redis.value } : {}), s3: s3.value, kms: kms.value };
  let stopping: Promise<void> | undefined;
  const services = { ...parts, stop: () => (stopping ??= release(Object.values(parts), claim)) };
  if (options.signal?.aborted) {
    await services.stop();
    throw options.signal.reason;
  }
  return services;
}

async function startRedisOf(options: LocalAwsOptions & WithRedis): Promise<RedisServer | undefined> {
  const { dir, ports = {}, signal } = options;
  if (options.redis === false) return undefined;
  return startRedis({
    ...listenOptions(ports.redis, ports.host),
    ...(dir === undefined ? {} : { dir: join(dir, 'redis-data') }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The folder is released only after every writer has stopped. */
async function release(parts: readonly Stoppable[], claim: FolderClaim | undefined): Promise<void> {
  try {
    await stopAll(parts);
  } finally {
    await claim?.stop();
  }
}

/** Stops all, even if one fails; then throws the first error. */
async function stopAll(parts: readonly Stoppable[]): Promise<void> {
  const ended = await Promise.allSettled(parts.map((part) => part.stop()));
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}
