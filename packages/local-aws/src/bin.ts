// Command line of the local services: starts them on given ports, prints their addresses, and stops on a signal.
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { LocalAwsOptions } from './local-aws.ts';

const HELP = `Usage: local-aws [options]

Starts S3, KMS (with STS) and Redis on this machine until SIGINT or SIGTERM.

Options:
  --dir DIRECTORY    directory for all data (default: data is discarded on exit)
  --host ADDRESS     address to listen on (default: 127.0.0.1)
  --s3-port PORT     port of S3 (default: any free port)
  --kms-port PORT    port of KMS and STS (default: any free port)
  --redis-port PORT  port of Redis (default: any free port)
  --no-redis         start only S3 and KMS
  --region NAME      AWS region (default: the region of --key, or us-west-2)
  --bucket NAME      create this bucket; repeatable
  --key ARN          create the KMS key with this ARN; repeatable
  --help             show help

Exit codes: 0 stopped by a signal, 1 a service cannot start, 64 wrong arguments.`;

/** A wrong argument: one sentence. */
class UsageError extends Error {}

/** Runs until SIGINT or SIGTERM, also during the start. Sets the exit code that the help describes. */
export async function main(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  try {
    const options = optionsOf(args);
    if (options === undefined) console.log(HELP);
    else await run(options, stop.signal);
  } catch (error) {
    if (stop.signal.aborted && error === stop.signal.reason) return;
    console.error(`local-aws: ${sentenceOf(error)}`);
    process.exitCode = error instanceof UsageError ? 64 : 1;
  }
}

type Options = LocalAwsOptions & { readonly redis: boolean };

async function run(options: Options, signal: AbortSignal): Promise<void> {
  // Loaded late, so that the help and usage errors are printed at once.
  const { startLocalAws } = await import('./local-aws.ts');
  const services = await startLocalAws({ ...options, signal });
  try {
    console.log(`S3 listens on ${services.s3.endpoint}`);
    console.log(`KMS listens on ${services.kms.endpoint}`);
    if (services.redis) console.log(`Redis listens on ${services.redis.url}`);
    console.log('Ready.');
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await services.stop();
  }
}

/** One sentence for an error; the expected one is a port in use. */
function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (syscall !== 'listen') return error.message;
  return code === 'EADDRINUSE'
    ? `Port ${port} of ${address} is already in use.`
    : `Cannot listen on port ${port} of ${address} (${code}).`;
}

/** The members that are defined. */
const given = <T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

/** Returns undefined if the help is requested. @throws UsageError */
function optionsOf(args: readonly string[]): Options | undefined {
  const values = valuesOf(args);
  if (values.help) return undefined;
  const ports = {
    host: values.host,
    s3: portOf('--s3-port', values['s3-port']),
    kms: portOf('--kms-port', values['kms-port']),
    redis: portOf('--redis-port', values['redis-port']),
  };
  const keyArns = values.key ?? [];
  const region = regionOf(values.region, keyArns);
  return {
    ports: given(ports),
    keyArns,
    buckets: values.bucket ?? [],
    redis: values['no-redis'] !== true,
    ...given({ dir: values.dir, region }),
  };
}

function valuesOf(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const texts = { type: 'string', multiple: true } as const;
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
        bucket: texts,
        key: texts,
        help: flag,
      },
    }).values;
  } catch (error) {
    const [fault] = (error as Error).message.split(/\.(?:\s|$)/);
    throw new UsageError(`${fault}. See: local-aws --help`);
  }
}

function portOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new UsageError(`${option} must be a port from 1 to 65535.`);
}

const KEY_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/[\w-]+$/;

/** The given region, or that of the keys, which must agree. */
function regionOf(given: string | undefined, keyArns: readonly string[]): string | undefined {
  const regions = keyArns.map((arn) => KEY_ARN.exec(arn)?.[1]);
  if (regions.includes(undefined)) throw new UsageError('--key must be the full ARN of a KMS key.');
  const region = given ?? regions[0];
  if (regions.some((one) => one !== region)) throw new UsageError('All --key ARNs must be in the region of --region.');
  return region;
}
