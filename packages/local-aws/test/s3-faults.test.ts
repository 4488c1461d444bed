// Every injected error of the S3 emulator through the real client.
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { S3_ERRORS } from '../src/s3/fault-injection.ts';
import { type S3Server, startS3 } from '../src/s3/server.ts';
import { eventually } from './eventually.ts';
import { s3Client } from './clients.ts';

const Bucket = 'test-bucket';
let server: S3Server;
let client: S3Client;

beforeAll(async () => {
  server = await startS3();
  server.createBucket(Bucket);
  client = s3Client(server);
});

afterEach(() => server.faults.clear());

afterAll(async () => {
  client.destroy();
  await server.stop();
});

const put = (Key: string, Body = 'x') => client.send(new PutObjectCommand({ Bucket, Key, Body }));
const get = async (Key: string): Promise<string | undefined> =>
  (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();
const nameOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => error.name,
  );

const errors = Object.values(S3_ERRORS);

test.each(errors)('an injected error returns $status $code to the client', async (fault) => {
  server.faults.set({ fault });
  const error = await put('a').catch((error: Error & { $metadata: { httpStatusCode: number } }) => error);
  expect(error).toMatchObject({ name: fault.code, $metadata: { httpStatusCode: fault.status } });
});

test('an injected error affects only matching calls', async () => {
  await put('documents/a');
  await put('intake/a');
  const fault = server.faults.set({ match: { method: 'GET', prefix: 'documents/' }, fault: S3_ERRORS.accessDenied });
  expect(await nameOf(get('documents/a'))).toBe('AccessDenied');
  expect(await nameOf(get('intake/a'))).toBe('ok');
  expect(await nameOf(put('documents/a'))).toBe('ok');
  expect(fault.met).toBe(1);
});

test('an injected error lasts for N calls, or until it is cleared', async () => {
  server.faults.set({ fault: S3_ERRORS.slowDown, times: 2 });
  expect([await nameOf(put('n')), await nameOf(put('n')), await nameOf(put('n'))]).toEqual([
    'SlowDown',
    'SlowDown',
    'ok',
  ]);
  const lasting = server.faults.set({ fault: S3_ERRORS.internal });
  expect([await nameOf(put('n')), await nameOf(put('n'))]).toEqual(['InternalError', 'InternalError']);
  lasting.clear();
  expect(await nameOf(put('n'))).toBe('ok');
});

test('a rejected write writes nothing, and a rejected HEAD has its status', async () => {
  await put('kept', 'before');
  server.faults.set({ fault: S3_ERRORS.accessDenied });
  await expect(put('kept', 'after')).rejects.toThrow('Access Denied');
  await expect(client.send(new HeadObjectCommand({ Bucket, Key: 'kept' }))).rejects.toMatchObject({
    $metadata: { httpStatusCode: 403 },
  });
  server.faults.clear();
  expect(await get('kept')).toBe('before');
});

test('a lost response cuts the connection after the write', async () => {
  server.faults.set({ match: { method: 'PUT' }, fault: { kind: 'lostResponse' }, times: 1 });
  const error = await put('lost', 'written').catch(
    (error: Error & { $metadata?: { httpStatusCode?: number } }) => error,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode).toBeUndefined();
  expect(await get('lost')).toBe('written');
});

test('a hanging call continues when the injected error is cleared', async () => {
  const fault = server.faults.set({ fault: { kind: 'hang' }, times: 1 });
  const call = put('hang', 'at last');
  await eventually(() => fault.met === 1);
  expect(await nameOf(get('hang'))).toBe('NoSuchKey');
  fault.clear();
  await call;
  expect(await get('hang')).toBe('at last');
});

test('a hanging call does nothing if its client disconnects', async () => {
  const fault = server.faults.set({ fault: { kind: 'hang' } });
  const impatient = s3Client(server);
  const controller = new AbortController();
  const call = impatient.send(new PutObjectCommand({ Bucket, Key: 'left', Body: 'x' }), {
    abortSignal: controller.signal,
  });
  await eventually(() => fault.met === 1);
  controller.abort();
  expect(await nameOf(call)).toBe('AbortError');
  impatient.destroy();
  await eventually(() => fault.waiting === 0);
  fault.clear();
  expect(await nameOf(get('left'))).toBe('NoSuchKey');
});

test('a slow call is completed, and can be accelerated by clearing', async () => {
  server.faults.set({ fault: { kind: 'latency', ms: 20 }, times: 1 });
  await put('slow', 'slow');
  expect(await get('slow')).toBe('slow');
  const hour = server.faults.set({ fault: { kind: 'latency', ms: 3_600_000 } });
  const call = put('slow', 'sped up');
  await eventually(() => hour.met === 1);
  server.faults.clear();
  await call;
  expect(await get('slow')).toBe('sped up');
});

test('a store without conditions overwrites without an error', async () => {
  await put('ignored', 'one');
  server.faults.set({ fault: { kind: 'ignoreConditions' } });
  await client.send(new PutObjectCommand({ Bucket, Key: 'ignored', Body: 'two', IfNoneMatch: '*' }));
  await client.send(new PutObjectCommand({ Bucket, Key: 'ignored', Body: 'three', IfMatch: '"other"' }));
  expect(await get('ignored')).toBe('three');
});

test('the server stops while calls hang', async () => {
  const hanging = await startS3();
  hanging.createBucket(Bucket);
  const fault = hanging.faults.set({ fault: { kind: 'hang' } });
  const impatient = s3Client(hanging);
  const call = nameOf(impatient.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' })));
  await eventually(() => fault.met === 1);
  await Promise.all([hanging.stop(), hanging.stop()]);
  expect(await call).not.toBe('ok');
  impatient.destroy();
});
