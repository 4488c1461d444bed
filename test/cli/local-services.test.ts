// The three services together, through the clients that the project uses.
import {
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GenerateDataKeyCommand,
  KMSClient,
} from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startServices } from '../../src/cli/dev/local-services.ts';
import { testServices } from '../support/services.ts';
import { kmsClient, s3Client } from '../../packages/local-aws/test/clients.ts';

test('the settings of the local services connect the real clients to them', async () => {
  await using services = await testServices();
  const kms = new KMSClient({
    endpoint: String(services.settings.AWS_ENDPOINT_URL_KMS),
    region: String(services.settings.AWS_REGION),
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const KeyId = String(services.settings.SEALDEX_PLATFORM_KEY_ARN);
  const made = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
  expect((await kms.send(new DecryptCommand({ CiphertextBlob: made.CiphertextBlob }))).Plaintext).toEqual(
    made.Plaintext,
  );
  await kms.send(new DisableKeyCommand({ KeyId }));
  expect((await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe('Disabled');
  await kms.send(new EnableKeyCommand({ KeyId }));
  kms.destroy();
});

test('data of one test does not remain in Redis for the next', async () => {
  const services = await testServices();
  const redis = new Redis(services.redisUrl);
  const name = `sealdex:{${String(services.settings.SEALDEX_QUEUE)}}:index:wait`;
  await redis.set(name, '1');
  await redis.set(`${name}:other`, '1');
  await services[Symbol.asyncDispose]();
  expect(await redis.exists(name, `${name}:other`)).toBe(0);
  redis.disconnect();
});

test('a restart in the same folder keeps the platform key, objects and Redis data', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  try {
    const first = await startServices({ dir });
    const Bucket = String(first.settings.SEALDEX_BUCKET);
    const KeyId = String(first.settings.SEALDEX_PLATFORM_KEY_ARN);
    const kms = kmsClient(first.kms);
    const { CiphertextBlob, Plaintext } = await kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
    kms.destroy();
    const s3 = s3Client(first.s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'documents/a/b/c', Body: 'kept', Metadata: { revision: '7' } }));
    s3.destroy();
    const redis = new Redis(first.redis.url);
    await redis.set('kept', 'yes');
    redis.disconnect();
    await first.stop();

    const second = await startServices({ dir });
    expect(second.settings.SEALDEX_PLATFORM_KEY_ARN).toBe(KeyId);
    const kmsAgain = kmsClient(second.kms);
    expect((await kmsAgain.send(new DecryptCommand({ CiphertextBlob, KeyId }))).Plaintext).toEqual(Plaintext);
    kmsAgain.destroy();
    const s3Again = s3Client(second.s3);
    const object = await s3Again.send(new GetObjectCommand({ Bucket, Key: 'documents/a/b/c' }));
    expect(await object.Body?.transformToString()).toBe('kept');
    expect(object.Metadata).toEqual({ revision: '7' });
    s3Again.destroy();
    const redisAgain = new Redis(second.redis.url);
    expect(await redisAgain.get('kept')).toBe('yes');
    redisAgain.disconnect();
    await Promise.all([second.stop(), second.stop()]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
