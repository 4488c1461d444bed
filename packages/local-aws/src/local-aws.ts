// Redis, S3, KMS and STS together: started side by side, kept in one folder, stopped as one.
import { join } from 'node:path';
import { claimFolder, type FolderClaim } from './folder-claim.ts';
import { type KmsServer, startKms } from './kms/server.ts';
import { type RedisServer, startRedis } from './redis/redis.ts';
import { type S3Server, startS3 } from './s3/server.ts';

export interface LocalAws {
  readonly redis: RedisServer;
  readonly s3: S3Server;
  /** Also answers for STS. */
  readonly kms: KmsServer;
  /** May be called twice. */
  stop(): Promise<void>;
}

export interface LocalAwsOptions {
  /** The folder for all data; a restart there finds the same keys, objects and queues. Without it nothing is kept. */
  readonly dir?: string;
  readonly ports?: {
    readonly redis?: number;
    readonly s3?: number;
    readonly kms?: number;
    readonly host?: string;
  };
  /** Aborts a start in progress: what has started is stopped, and the start rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

interface Stoppable {
  stop(): Promise<void>;
}

/**
 * Starts all services at once; if one fails, the others are stopped and its error is thrown.
 * @throws Error, one sentence, if another process uses the folder
 */
export async function startLocalAws(options: LocalAwsOptions = {}): Promise<LocalAws> {
  const claim = options.dir === undefined ? undefined : await claimFolder(options.dir);
  try {
    return await startInside(options, claim);
  } catch (error) {
    await claim?.stop();
    throw error;
  }
}

async function startInside(options: LocalAwsOptions, claim: FolderClaim | undefined): Promise<LocalAws> {
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
  const parts = { redis: redis.value, s3: s3.value, kms: kms.value };
  let stopping: Promise<void> | undefined;
  const services = { ...parts, stop: () => (stopping ??= release(Object.values(parts), claim)) };
  if (signal?.aborted) {
    await services.stop();
    throw signal.reason;
  }
  return services;
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
