// The entry of the image's `dev` target with the arguments of docker-compose.yml, but on 127.0.0.1 and free ports.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'yaml';
import { credentialsOf, loadConfig, type Config } from '../../src/runtime/config.ts';
import { freePort } from '@sealdex/local-aws';
import { listOf, stagesOf } from './dockerfile.ts';

const ROOT = new URL('../../', import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

const { services } = parse(textOf('docker-compose.yml')) as {
  services: { aws: { command: string[] }; worker: { environment: Record<string, string> } };
};
const dev = stagesOf(textOf('Dockerfile')).find(({ name }) => name === 'dev');
const entry = dev?.instructions.find(({ keyword }) => keyword === 'ENTRYPOINT')?.words ?? '[]';

let dir = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealdex-container-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** Starts the services and waits until they are ready. The last value of a repeated option counts. */
async function start(ports: readonly string[]): Promise<ChildProcess> {
  const [, ...args] = [...listOf(entry), ...services.aws.command, '--host', '127.0.0.1', '--dir', dir, ...ports];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) if (line === 'Ready.') return child;
  throw new Error('The services ended before they were ready.');
}

const clientsOf = (config: Config) => {
  const { region, s3Endpoint = '', kmsEndpoint = '' } = config;
  const options = { region, ...credentialsOf(config) };
  return {
    s3: new S3Client({ ...options, endpoint: s3Endpoint, forcePathStyle: true }),
    kms: new KMSClient({ ...options, endpoint: kmsEndpoint }),
  };
};

test('the dev image creates the bucket and the key of the workers and keeps both across a restart', async () => {
  const [s3Port, kmsPort] = [await freePort(), await freePort()];
  const ports = ['--s3-port', `${s3Port}`, '--kms-port', `${kmsPort}`];
  const config = loadConfig(
    {},
    {
      ...services.worker.environment,
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${s3Port}`,
      AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${kmsPort}`,
    },
  );
  const { s3, kms } = clientsOf(config);
  try {
    const first = await start(ports);
    await s3.send(new PutObjectCommand({ Bucket: config.bucket, Key: 'a', Body: 'kept' }));
    const { CiphertextBlob } = await kms.send(
      new EncryptCommand({ KeyId: config.platformKeyArn, Plaintext: Buffer.from('kept too') }),
    );
    expect(await end(first, 'SIGTERM')).toBe(0);

    const second = await start(ports);
    const object = await s3.send(new GetObjectCommand({ Bucket: config.bucket, Key: 'a' }));
    expect(await object.Body?.transformToString()).toBe('kept');
    const { Plaintext, KeyId } = await kms.send(new DecryptCommand({ CiphertextBlob }));
    expect(KeyId).toBe(config.platformKeyArn);
    expect(Buffer.from(Plaintext ?? []).toString()).toBe('kept too');
    expect(await end(second, 'SIGTERM')).toBe(0);
  } finally {
    s3.destroy();
    kms.destroy();
  }
});
