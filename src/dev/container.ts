// Entry of the image's `dev` target: the embedded S3 and KMS on the ports that the settings name, on the given host.
// The only way in which they leave 127.0.0.1. Redis is a container of its own.
import { join } from 'node:path';
import { loadConfig } from '../runtime/config.ts';
import { CODES, SealdexError } from '../runtime/errors.ts';
import { Keys } from './kms/keys.ts';
import { startKms } from './kms/server.ts';
import { readKeys, writeKeys } from './kms/state-file.ts';
import { startS3 } from './s3.ts';

/** Makes the platform key that the workers' settings name, at the first start; later it is there. */
function keepPlatformKey(stateFile: string, arn: string, region: string): void {
  const kept = readKeys(stateFile);
  if (kept.some((key) => key.arn === arn)) return;
  const made = new Keys(region).create({ description: 'platform key' });
  writeKeys(stateFile, [...kept, { ...made, arn, id: arn.slice(arn.lastIndexOf('/') + 1) }]);
}

function portOf(name: string, endpoint: string | undefined): number {
  const port = Number(new URL(endpoint ?? 'http://-').port);
  if (port === 0) throw new SealdexError('CONFIG_INVALID', `${name} must name the port to listen on.`);
  return port;
}

async function start(host: string, dir: string): Promise<void> {
  const { bucket, region, platformKeyArn, s3Endpoint, kmsEndpoint } = loadConfig();
  const ports = {
    s3: portOf('AWS_ENDPOINT_URL_S3', s3Endpoint),
    kms: portOf('AWS_ENDPOINT_URL_KMS', kmsEndpoint),
  };
  const stateFile = join(dir, 'kms.json');
  keepPlatformKey(stateFile, platformKeyArn, region);
  const s3 = await startS3({ host, port: ports.s3, dir: join(dir, 's3') });
  s3.createBucket(bucket);
  const kms = await startKms({ host, port: ports.kms, region, stateFile });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void Promise.all([s3.stop(), kms.stop()]));
  }
  console.log(`S3 listens on ${host}:${ports.s3}, KMS on ${host}:${ports.kms}.`);
}

const [host = '127.0.0.1', dir = '.sealdex'] = process.argv.slice(2);
try {
  await start(host, dir);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(error instanceof SealdexError ? CODES[error.code].exit : CODES.INTERNAL.exit);
}
