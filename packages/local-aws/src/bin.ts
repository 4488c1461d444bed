// The command line of the local services: starts them on given ports, prints where they are, and stops on SIGTERM.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { claimFolder } from './folder-claim.ts';
import { Keys } from './kms/keys.ts';
import { type KmsServer, startKms } from './kms/server.ts';
import { readKeys, writeKeys } from './kms/state-file.ts';
import { startRedis } from './redis/redis.ts';
import { startS3, type S3Server } from './s3/server.ts';

const HELP = `Usage: local-aws [options]

Starts S3, KMS (with STS) and Redis on this machine until SIGINT or SIGTERM.

Options:
  --dir FOLDER       keep all data here; without it nothing is kept
  --host ADDRESS     address to listen on (default 127.0.0.1)
  --s3-port PORT     port of S3 (default: a free one)
  --kms-port PORT    port of KMS and STS (default: a free one)
  --redis-port PORT  port of Redis (default: a free one)
  --no-redis         start S3 and KMS only
  --region NAME      AWS region (default us-west-2)
  --bucket NAME      create this bucket
  --key ARN          create the KMS key with this ARN at the first start
  --help             print this text`;

interface Options {
  readonly dir: string | undefined;
  readonly host: string;
  readonly s3Port: number | undefined;
  readonly kmsPort: number | undefined;
  readonly redisPort: number | undefined;
  readonly isRedisWanted: boolean;
  readonly region: string | undefined;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
}

/** A wrong argument: one sentence. */
class UsageError extends Error {}

interface Running {
  readonly name: string;
  readonly url: string;
  stop(): Promise<void>;
}

/** Runs until a signal. Sets the exit code: 0 after a clean stop, 1 if a service does not start, 64 for wrong arguments. */
export async function main(args: readonly string[]): Promise<void> {
  const started: Running[] = [];
  const stop = async (): Promise<void> => {
    for (const service of started.splice(0).toReversed()) await service.stop();
  };
  try {
    const options = optionsOf(args);
    if (options === undefined) return console.log(HELP);
    await start(options, started);
    for (const { name, url } of started) if (url !== '') console.log(`${name} listens on ${url}`);
    console.log('Ready.');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop());
  } catch (error) {
    await stop();
    console.error(`local-aws: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = error instanceof UsageError ? 64 : 1;
  }
}

function optionsOf(args: readonly string[]): Options | undefined {
  const { values } = parsed(args);
  if (values.help) return undefined;
  return {
    dir: values.dir,
    host: values.host ?? '127.0.0.1',
    s3Port: portOf('--s3-port', values['s3-port']),
    kmsPort: portOf('--kms-port', values['kms-port']),
    redisPort: portOf('--redis-port', values['redis-port']),
    isRedisWanted: values['no-redis'] !== true,
    region: values.region,
    bucket: values.bucket,
    key: values.key,
  };
}

function parsed(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        dir: text,
        host: text,
        's3-port': text,
        'kms-port': text,
        'redis-port': text,
        'no-redis': flag,
        region: text,
        bucket: text,
        key: text,
        help: flag,
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.replace(/\.$/, '')}. See local-aws --help.`);
  }
}

function portOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new UsageError(`${option} must be a port from 1 to 65535.`);
}

const DEFAULT_REGION = 'us-west-2';
const KEY_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/([\w-]+)$/;

/** Adds each service to `started` as soon as it runs. */
async function start(options: Options, started: Running[]): Promise<void> {
  const { dir, host, s3Port, kmsPort, redisPort, bucket, key } = options;
  const keyRegion = key === undefined ? undefined : KEY_ARN.exec(key)?.[1];
  if (key !== undefined && keyRegion === undefined) throw new UsageError('--key must be the full ARN of a KMS key.');
  if (key !== undefined && dir === undefined) throw new UsageError('--key needs --dir, where the key is kept.');
  const region = options.region ?? keyRegion;
  if (dir !== undefined) {
    const claim = await claimFolder(dir);
    started.push({ name: 'folder', url: '', stop: () => claim.stop() });
  }
  const s3 = await startS3({ host, ...portOption(s3Port), ...(dir === undefined ? {} : { dir: join(dir, 's3') }) });
  started.push(asRunning('S3', s3));
  if (bucket !== undefined) s3.createBucket(bucket);
  const stateFile = dir === undefined ? undefined : join(dir, 'kms.json');
  if (stateFile !== undefined && key !== undefined) createKeyOnce(stateFile, key, region);
  const kms = await startKms({
    host,
    ...portOption(kmsPort),
    ...(region === undefined ? {} : { region }),
    ...(stateFile === undefined ? {} : { stateFile }),
  });
  started.push(asRunning('KMS', kms));
  if (!options.isRedisWanted) return;
  const redis = await startRedis({
    host,
    ...portOption(redisPort),
    ...(dir === undefined ? {} : { dir: join(dir, 'redis-data') }),
  });
  started.push({ name: 'Redis', url: redis.url, stop: () => redis.stop() });
}

const portOption = (port: number | undefined): { port?: number } => (port === undefined ? {} : { port });

const asRunning = (name: string, server: S3Server | KmsServer): Running => ({
  name,
  url: server.endpoint,
  stop: () => server.stop(),
});

/** A key with this very ARN, unless the file has it already. */
function createKeyOnce(stateFile: string, arn: string, region: string | undefined): void {
  const kept = readKeys(stateFile);
  if (kept.some((key) => key.arn === arn)) return;
  const made = new Keys(region ?? DEFAULT_REGION).create({ description: 'platform key' });
  writeKeys(stateFile, [...kept, { ...made, arn, id: arn.slice(arn.lastIndexOf('/') + 1) }]);
}
