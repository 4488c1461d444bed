// The entry of the image's `dev` target, run as the image runs it but on 127.0.0.1 and free ports.
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

const ROOT = new URL('../../', import.meta.url);
const compose = parse(readFileSync(new URL('docker-compose.yml', ROOT), 'utf8')) as {
  services: { aws: { environment: Record<string, string> } };
};

let dir = '';
const children: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealdex-container-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) await end(child, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  child.kill(signal);
  return exitOf(child);
}

async function settings(): Promise<Record<string, string>> {
  const [s3, kms] = [await freePort(), await freePort()];
  return {
    ...compose.services.aws.environment,
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${s3}`,
    AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${kms}`,
  };
}

const startWith = (env: Record<string, string>): ChildProcess => {
  const child = spawn(process.execPath, ['src/dev/container.ts', '127.0.0.1', dir], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
};

async function firstLine(stream: NodeJS.ReadableStream | null): Promise<string> {
  if (!stream) throw new Error('The child has no such stream.');
  for await (const line of createInterface({ input: stream })) return line;
  return '';
}

const clientsOf = (config: Config) => {
  const { region, s3Endpoint = '', kmsEndpoint = '' } = config;
  const options = { region, ...credentialsOf(config) };
  return {
    s3: new S3Client({ ...options, endpoint: s3Endpoint, forcePathStyle: true }),
    kms: new KMSClient({ ...options, endpoint: kmsEndpoint }),
  };
};

test('it makes the bucket and the key that the workers are told, and keeps both over a restart', async () => {
  const env = await settings();
  const config = loadConfig({}, env);
  const { s3, kms } = clientsOf(config);
  try {
    const first = startWith(env);
    expect(await firstLine(first.stdout)).toMatch(/^S3 listens on 127\.0\.0\.1:\d+, KMS on 127\.0\.0\.1:\d+\.$/);
    await s3.send(new PutObjectCommand({ Bucket: config.bucket, Key: 'a', Body: 'kept' }));
    const { CiphertextBlob } = await kms.send(
      new EncryptCommand({ KeyId: config.platformKeyArn, Plaintext: Buffer.from('kept too') }),
    );
    expect(await end(first, 'SIGTERM')).toBe(0);

    const second = startWith(env);
    await firstLine(second.stdout);
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

test('it refuses settings that name no port, and settings that are wrong, with 78', async () => {
  const env = await settings();
  const unnamed = startWith({ ...env, AWS_ENDPOINT_URL_KMS: 'http://aws' });
  expect(await firstLine(unnamed.stderr)).toBe('AWS_ENDPOINT_URL_KMS must name the port to listen on.');
  const wrong = startWith({ ...env, SEALDEX_BUCKET: 'A' });
  expect(await firstLine(wrong.stderr)).toBe('A setting is wrong:');
  expect([await exitOf(unnamed), await exitOf(wrong)]).toEqual([78, 78]);
});
