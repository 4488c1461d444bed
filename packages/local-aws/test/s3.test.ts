// The S3 emulator through the real client: conditional writes, their races, large bodies, restarts.
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type S3Server, startS3 } from '../src/s3/server.ts';
import { s3Client } from './clients.ts';

const Bucket = 'test-bucket';
let server: S3Server;
let client: S3Client;

beforeAll(async () => {
  server = await startS3();
  server.createBucket(Bucket);
  client = s3Client(server);
});

afterAll(async () => {
  client.destroy();
  await Promise.all([server.stop(), server.stop()]);
});

const put = (Key: string, more: Partial<PutObjectCommandInput> = {}) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }));

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;

async function refusal(call: Promise<unknown>): Promise<[string, number | undefined]> {
  const error = await call.then(
    () => new Error('it was not refused'),
    (error: Error) => error,
  );
  return [error.name, statusOf(error)];
}

test('objects keep body and metadata, are listed by prefix and deleted', async () => {
  const Key = 'documents/acme/c/1';
  const { ETag } = await put(Key, { Body: 'hello', Metadata: { revision: '1', 'job-id': 'j1' } });
  const got = await client.send(new GetObjectCommand({ Bucket, Key }));
  expect([await got.Body?.transformToString(), got.Metadata, got.ETag]).toEqual([
    'hello',
    { revision: '1', 'job-id': 'j1' },
    ETag,
  ]);
  const listed = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'documents/acme/' }));
  expect(listed.Contents?.map((object) => object.Key)).toEqual([Key]);
  await client.send(new DeleteObjectCommand({ Bucket, Key }));
  expect(await refusal(client.send(new GetObjectCommand({ Bucket, Key })))).toEqual(['NoSuchKey', 404]);
  expect(await refusal(client.send(new HeadObjectCommand({ Bucket, Key })))).toEqual(['NotFound', 404]);
});

test('a missing bucket is NoSuchBucket, also for a conditional write', async () => {
  const other = { Bucket: 'no-such-bucket' };
  expect(await refusal(put('k', other))).toEqual(['NoSuchBucket', 404]);
  expect(await refusal(put('k', { ...other, IfNoneMatch: '*' }))).toEqual(['NoSuchBucket', 404]);
});

test('if-None-Match * writes once', async () => {
  await put('once', { Body: 'first', IfNoneMatch: '*' });
  expect(await refusal(put('once', { Body: 'second', IfNoneMatch: '*' }))).toEqual(['PreconditionFailed', 412]);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'once' }));
  expect(await got.Body?.transformToString()).toBe('first');
});

test('if-None-Match with an etag is not implemented, as in S3', async () => {
  expect(await refusal(put('once', { IfNoneMatch: '"abc"' }))).toEqual(['NotImplemented', 501]);
});

test('if-Match overwrites only that version, and a missing object is NoSuchKey', async () => {
  expect(await refusal(put('match', { IfMatch: '"abc"' }))).toEqual(['NoSuchKey', 404]);
  const { ETag = '' } = await put('match', { Body: 'one' });
  expect(await refusal(put('match', { Body: 'two', IfMatch: '"abc"' }))).toEqual(['PreconditionFailed', 412]);
  await put('match', { Body: 'two', IfMatch: ETag });
  expect(await refusal(put('match', { Body: 'three', IfMatch: ETag }))).toEqual(['PreconditionFailed', 412]);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'match' }));
  expect(await got.Body?.transformToString()).toBe('two');
});

test('if-Match on a removal removes only that version', async () => {
  const { ETag = '' } = await put('remove', { Body: 'one' });
  const remove = (IfMatch: string) => client.send(new DeleteObjectCommand({ Bucket, Key: 'remove', IfMatch }));
  expect(await refusal(remove('"abc"'))).toEqual(['PreconditionFailed', 412]);
  await client.send(new HeadObjectCommand({ Bucket, Key: 'remove' }));
  await remove(ETag);
  expect(await refusal(client.send(new HeadObjectCommand({ Bucket, Key: 'remove' })))).toEqual(['NotFound', 404]);
  expect(await refusal(remove(ETag))).toEqual(['NoSuchKey', 404]);
});

test('exactly one of 50 parallel creations wins, and its body is stored', async () => {
  const bodies = Array.from({ length: 50 }, (_, index) => `body ${index}`);
  const ended = await Promise.allSettled(bodies.map((Body) => put('race/create', { Body, IfNoneMatch: '*' })));
  const winners = bodies.filter((_, index) => ended[index]?.status === 'fulfilled');
  expect(winners).toHaveLength(1);
  const losers = ended.filter((one) => one.status === 'rejected');
  expect(new Set(losers.map((one) => statusOf(one.reason)))).toEqual(new Set([412]));
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'race/create' }));
  expect(await got.Body?.transformToString()).toBe(winners[0]);
});

test('exactly one of 50 parallel replacements of one version wins', async () => {
  const { ETag = '' } = await put('race/replace', { Body: 'before' });
  const bodies = Array.from({ length: 50 }, (_, index) => `body ${index}`);
  const ended = await Promise.allSettled(bodies.map((Body) => put('race/replace', { Body, IfMatch: ETag })));
  const winners = bodies.filter((_, index) => ended[index]?.status === 'fulfilled');
  expect(winners).toHaveLength(1);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'race/replace' }));
  expect(await got.Body?.transformToString()).toBe(winners[0]);
});

test('a body of 20 MiB is returned unchanged', async () => {
  const Body = randomBytes(20 * 1_048_576);
  await put('large', { Body });
  const got = await client.send(new GetObjectCommand({ Bucket, Key: 'large' }));
  expect(Body.equals((await got.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
});

test('a conditional multipart upload fails if the object exists', async () => {
  const upload = async (Key: string) => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = { Bucket, Key, UploadId, PartNumber: 1 };
    const { ETag } = await client.send(new UploadPartCommand({ ...part, Body: 'part' }));
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    return client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload, IfNoneMatch: '*' }),
    );
  };
  await upload('multipart');
  expect(await refusal(upload('multipart'))).toEqual(['PreconditionFailed', 412]);
});

test('requests are counted by method, kind and folder', async () => {
  server.requests.reset();
  await put('intake/acme/j1/00');
  await put('documents/acme/c/1');
  await client.send(new HeadObjectCommand({ Bucket, Key: 'documents/acme/c/1' }));
  await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'documents/' }));
  expect(server.requests.all()).toEqual({ 'PUT object': 2, 'HEAD object': 1, 'GET list': 1 });
  expect(server.requests.count({ method: 'PUT', prefix: 'documents/' })).toBe(1);
  expect(server.requests.count({ kind: 'list' })).toBe(1);
  expect(server.requests.count()).toBe(4);
});

test('objects on disk survive a restart with times and etags, deleted ones do not, and a partial write is ignored', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  try {
    const first = await startS3({ dir });
    first.createBucket(Bucket);
    const before = s3Client(first);
    const keys = ['a', 'a/b', 'a/../b', `${'long/'.repeat(60)}x`];
    for (const Key of keys) await before.send(new PutObjectCommand({ Bucket, Key, Body: Key, Metadata: { k: '1' } }));
    await before.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: new Uint8Array() }));
    await before.send(new PutObjectCommand({ Bucket, Key: 'gone', Body: 'x' }));
    await before.send(new DeleteObjectCommand({ Bucket, Key: 'gone' }));
    const listed = (await before.send(new ListObjectsV2Command({ Bucket }))).Contents;
    before.destroy();
    await first.stop();
    const folder = (await readdir(join(dir, Bucket))).find((name) => name.length === 2);
    await writeFile(join(dir, Bucket, folder ?? '', 'torn.tmp'), 'half a');

    const second = await startS3({ dir });
    second.createBucket(Bucket);
    const after = s3Client(second);
    expect((await after.send(new ListObjectsV2Command({ Bucket }))).Contents).toEqual(listed);
    for (const { Key } of listed ?? []) {
      const got = await after.send(new GetObjectCommand({ Bucket, Key }));
      expect(await got.Body?.transformToString()).toBe(Key === 'empty' ? '' : Key);
    }
    expect(await refusal(after.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', IfNoneMatch: '*' })))).toEqual([
      'PreconditionFailed',
      412,
    ]);
    after.destroy();
    await second.stop();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
