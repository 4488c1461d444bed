// The command local-aws: ports, folder, bucket and key, wrong arguments, signals.
import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../src/ports.ts';
import { killAll, startBin, type BinProcess } from './bin-process.ts';

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-4000-8000-000000000001';
const BUCKET = 'kept-bucket';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'local-aws-test-'));
});

afterEach(async () => {
  await killAll();
  await rm(dir, { recursive: true, force: true });
});

async function portArguments(): Promise<{ s3: number; kms: number; redis: number; args: string[] }> {
  const [s3, kms, redis] = [await freePort(), await freePort(), await freePort()];
  return { s3, kms, redis, args: ['--s3-port', `${s3}`, '--kms-port', `${kms}`, '--redis-port', `${redis}`] };
}

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };

/** Calls each service once the process is ready, with real clients. */
async function withClients<T>(
  bin: BinProcess,
  work: (clients: { s3: S3Client; kms: KMSClient; redis: Redis }) => Promise<T>,
): Promise<T> {
  await bin.ready;
  const options = { region: 'eu-central-1', credentials };
  const s3 = new S3Client({ ...options, endpoint: bin.urlOf('S3') ?? '', forcePathStyle: true });
  const kms = new KMSClient({ ...options, endpoint: bin.urlOf('KMS') ?? '' });
  const redis = new Redis(bin.urlOf('Redis') ?? '');
  try {
    return await work({ s3, kms, redis });
  } finally {
    s3.destroy();
    kms.destroy();
    redis.disconnect();
  }
}

test('the services listen on the given ports and print them', async () => {
  const { s3, kms, redis, args } = await portArguments();
  const bin = startBin(args);
  await bin.ready;
  expect([bin.urlOf('S3'), bin.urlOf('KMS'), bin.urlOf('Redis')]).toEqual([
    `http://127.0.0.1:${s3}`,
    `http://127.0.0.1:${kms}`,
    `redis://127.0.0.1:${redis}`,
  ]);
});

test('the bucket and the key are created, and a restart in the same folder finds everything', async () => {
  const { args } = await portArguments();
  const all = [...args, '--dir', dir, '--bucket', BUCKET, '--key', KEY];
  const first = startBin(all);
  const ciphertext = await withClients(first, async ({ s3, kms, redis }) => {
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'a', Body: 'object' }));
    await redis.set('a', 'value');
    return (await kms.send(new EncryptCommand({ KeyId: KEY, Plaintext: Buffer.from('secret') }))).CiphertextBlob;
  });
  first.child.kill('SIGTERM');
  expect(await first.ended).toMatchObject({ code: 0, stderr: '' });

  await withClients(startBin(all), async ({ s3, kms, redis }) => {
    const object = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'a' }));
    expect(await object.Body?.transformToString()).toBe('object');
    expect(await redis.get('a')).toBe('value');
    const { KeyId, Plaintext } = await kms.send(new DecryptCommand({ CiphertextBlob: ciphertext }));
    expect(KeyId).toBe(KEY);
    expect(Buffer.from(Plaintext ?? []).toString()).toBe('secret');
  });
});

test('--no-redis starts S3 and KMS only', async () => {
  const bin = startBin(['--no-redis']);
  await bin.ready;
  expect(bin.urlOf('Redis')).toBeUndefined();
  expect(await fetch(bin.urlOf('S3') ?? '')).toBeInstanceOf(Response);
});

test('SIGTERM sent twice stops the services once, with exit code 0', async () => {
  const bin = startBin(['--dir', dir]);
  await bin.ready;
  bin.child.kill('SIGTERM');
  bin.child.kill('SIGTERM');
  expect(await bin.ended).toMatchObject({ code: 0, stderr: '' });
  await expect(fetch(bin.urlOf('S3') ?? '')).rejects.toThrow('fetch failed');
});

describe('the command exits with 1 and one sentence', () => {
  test.each(['--s3-port', '--kms-port', '--redis-port'])('if the port of %s is in use', async (option) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    try {
      const { code, stdout, stderr } = await startBin([option, `${port}`]).ended;
      expect({ code, stdout, stderr }).toEqual({
        code: 1,
        stdout: '',
        stderr: `local-aws: Port ${port} of 127.0.0.1 is already in use.\n`,
      });
    } finally {
      other.close();
    }
  });

  test('if another process uses the folder', async () => {
    const first = startBin(['--dir', dir, '--no-redis']);
    await first.ready;
    const { code, stderr } = await startBin(['--dir', dir, '--no-redis']).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^local-aws: Another process [^\n]+\n$/);
  });
});

describe('the command exits with 64 and one sentence', () => {
  test.each<[reason: string, args: string[], sentence: string]>([
    ['an unknown option', ['--nope'], "Unknown option '--nope'. See: local-aws --help"],
    ['an argument', ['extra'], "Unexpected argument 'extra'. See: local-aws --help"],
    ['an option without its value', ['--dir'], "Option '--dir <value>' argument missing. See: local-aws --help"],
    ['a port without a number', ['--s3-port', 'x'], '--s3-port must be a port from 1 to 65535.'],
    ['a port beyond the last', ['--kms-port', '65536'], '--kms-port must be a port from 1 to 65535.'],
    ['an invalid ARN of a key', ['--key', 'alias/a'], '--key must be the full ARN of a KMS key.'],
    [
      'a key of another region',
      ['--key', KEY, '--region', 'us-west-2'],
      'All --key ARNs must be in the region of --region.',
    ],
  ])('for %s', async (_, args, sentence) => {
    expect(await startBin(args).ended).toEqual({ code: 64, stdout: '', stderr: `local-aws: ${sentence}\n` });
  });
});
