// A file on its way through the producer: streamed or in memory, checked while it is read, and removed if rejected.
import { randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openContent } from '../../src/intake/intake.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { messageBytes } from '../../src/envelope/message.ts';
import { objectName } from '../../src/runtime/names.ts';
import type { EnqueueResult, Producer, UploadRequest } from '../../src/producer/producer.ts';
import { checkBody } from '../../src/producer/file-body.ts';
import { S3_ERRORS } from '@sealdex/local-aws';
import { openIntake, type Intake } from '../intake/fixture.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { FakeClock } from '../support/clock.ts';
import { setGate } from '../support/gate.ts';
import { headerOf } from '../support/message.ts';
import { findLeaks } from './leaks.ts';
import { objectAt, openScene, refusalOf, type Scene } from './fixture.ts';

const LIMIT = 1_048_576;
const FILENAME = '../a\u0000\u202Efile.txt';

let scene: Scene;
let intake: Intake;
let producer: Producer;
let arn: string;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_FILE_BYTES: LIMIT });
  intake = await openIntake(scene.services);
  arn = await scene.tenant('acme');
  producer = await scene.producer();
});
afterEach(() => scene.services.s3.faults.clear());
afterAll(async () => {
  await intake[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

const request = (body: UploadRequest['body'], more: Partial<UploadRequest> = {}): UploadRequest => ({
  tenant: 'acme',
  corpus: 'docs',
  filename: FILENAME,
  body,
  ...more,
});

/** A stream of the given number of bytes that counts those read. */
function counting(bytes: number, chunkBytes = 16_384): { body: Readable; taken: () => number } {
  let taken = 0;
  function* chunks(): Generator<Buffer> {
    for (; taken < bytes;) {
      const chunk = Buffer.alloc(Math.min(chunkBytes, bytes - taken), 'x');
      taken += chunk.length;
      yield chunk;
    }
  }
  return { body: Readable.from(chunks(), { objectMode: false }), taken: () => taken };
}

const uploads = async (): Promise<string[]> =>
  (await scene.redis.keys(`sealdex:{${scene.config.queue}}:upload:j*`)).filter((key) => /:j[0-9a-f]{32}$/.test(key));

/** The object of a job, with its content as its worker opens it. */
async function opened({ jobId, revision }: EnqueueResult, documentId: string, tenant = 'acme') {
  const keys = await scene.keysOf(`intake/${tenant}/${jobId}/`);
  expect(keys).toHaveLength(1);
  const { bytes, metadata } = await objectAt(scene.store, keys[0]!);
  const expected = { id: jobId, tenant, corpus: 'docs', kind: 'upload', revision, object: objectName(documentId) };
  const allowed = {
    tenant,
    readableArns: new Set([arn]),
    intakeArns: new Set([intake.platformArn]),
    blocked: new Map(),
  };
  const content = await openContent(intake.deps(0).ring, allowed, expected, bytes);
  return { ...content, bytes, metadata };
}

describe('an upload', () => {
  const file = randomBytes(300_000);
  const ways: [string, () => Partial<UploadRequest>][] = [
    [
      'a stream of known length',
      () => ({ body: Readable.from([file.subarray(0, 7), file.subarray(7)]), length: file.length }),
    ],
    ['a stream of unknown length', () => ({ body: Readable.from([file.subarray(0, 70_000), file.subarray(70_000)]) })],
    ['bytes', () => ({ body: new Uint8Array(file) })],
  ];
  it.each(ways)('from %s waits in S3 at its exact length, and opens to the same bytes', async (_, way) => {
    const more = {
      contentType: 'text/plain; charset=utf-8',
      metadata: { lang: 'é', deep: { a: [1] } },
      chunkingStrategy: { type: 'max_chars_chunking_strategy', max_chars_per_chunk: 512 },
      ...way(),
    } as const;
    const result = await producer.enqueueUpload(request(more.body as Readable, more));
    expect(result.status).toBe('queued');
    const { header, body, bytes, metadata } = await opened(result, FILENAME);
    expect(body.equals(file)).toBe(true);
    expect(header).toMatchObject({
      kind: 'upload',
      documentId: FILENAME,
      filename: FILENAME,
      contentType: more.contentType,
      metadata: more.metadata,
      chunkingStrategy: more.chunkingStrategy,
    });
    const key = await headerOf(bytes);
    expect(key.context['purpose']).toBe('documents');
    expect(bytes.length).toBe(messageBytes(key, Buffer.byteLength(JSON.stringify(header)) + 1 + file.length));
    expect(metadata).toMatchObject({ corpus: 'docs', kind: 'upload', revision: String(result.revision) });
    expect(await uploads()).toContain(`sealdex:{${scene.config.queue}}:upload:${result.jobId}`);
  });

  it('leaves neither its words nor its name in plain text', async () => {
    const word = `secret-${randomBytes(8).toString('hex')}`;
    const body = Readable.from([Buffer.from(`${word} in the file`)]);
    await producer.enqueueUpload(request(body, { filename: `${word}.txt`, metadata: { word } }));
    const { found, objects } = await findLeaks(scene.redis, scene.store, [word]);
    expect(objects).toBeGreaterThan(0);
    expect(found).toEqual([]);
  });

  it('sent twice with one idempotency key is one job with one object, and both streams are closed', async () => {
    const bodies = [counting(200_000).body, counting(200_000).body, counting(200_000).body];
    const send = (body: Readable): Promise<EnqueueResult> =>
      producer.enqueueUpload(request(body, { length: 200_000, idempotencyKey: 'once' }));
    const answers = await Promise.all([send(bodies[0]!), send(bodies[1]!)]);
    answers.push(await send(bodies[2]!));
    expect(answers.filter(({ status }) => status === 'queued')).toHaveLength(1);
    expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(1);
    expect(await scene.keysOf(`intake/acme/${answers[0].jobId}/`)).toHaveLength(1);
    expect(bodies.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
  });
});

describe('a rejected upload', () => {
  const failing = (): Readable =>
    Readable.from(
      (async function* () {
        yield Buffer.alloc(100_000);
        await Promise.resolve();
        throw new Error('content');
      })(),
      { objectMode: false },
    );
  const cases: [string, () => Partial<UploadRequest>, object][] = [
    ['a length over the limit', () => ({ length: LIMIT + 1 }), { code: 'FILE_TOO_LARGE', field: 'body' }],
    ['bytes over the limit', () => ({ body: Buffer.alloc(LIMIT + 1) }), { code: 'FILE_TOO_LARGE', field: 'body' }],
    ['fewer bytes than declared', () => ({ length: 200_001 }), { code: 'DOCUMENT_INVALID', field: 'length' }],
    ['more bytes than declared', () => ({ length: 199_999 }), { code: 'DOCUMENT_INVALID', field: 'length' }],
    ['a stream that fails', () => ({ body: failing() }), { code: 'DOCUMENT_INVALID', field: 'body' }],
    ['a stream that fails during the upload', () => ({ body: failing(), length: 200_000 }), { field: 'body' }],
    ['an empty stream', () => ({ body: Readable.from([]) }), { code: 'DOCUMENT_INVALID', field: 'body' }],
    ['no bytes', () => ({ body: new Uint8Array() }), { code: 'DOCUMENT_INVALID', field: 'body' }],
    ['text for bytes', () => ({ body: Readable.from(['text']) }), { code: 'DOCUMENT_INVALID', field: 'body' }],
    ['a lone surrogate', () => ({ filename: '\ud800' }), { code: 'DOCUMENT_INVALID', field: 'filename' }],
    ['a long name', () => ({ filename: 'x'.repeat(4000) }), { code: 'DOCUMENT_INVALID', field: 'filename' }],
    ['a content type of two lines', () => ({ contentType: 'a\nb' }), { field: 'contentType' }],
    ['a list of metadata', () => ({ metadata: [] as never }), { field: 'metadata' }],
    ['an unknown strategy', () => ({ chunkingStrategy: { type: 'x' } as never }), { field: 'chunkingStrategy.type' }],
    ['an unknown field', () => ({ fileName: 'x' }) as never, { field: 'fileName' }],
    ['an unknown tenant', () => ({ tenant: 'nobody' }), { code: 'TENANT_UNKNOWN' }],
  ];
  it.each(cases)('leaves nothing behind, and its stream is closed: %s', async (_, more, expected) => {
    const [objects, jobs] = [await scene.keysOf('intake/'), await uploads()];
    const whole = request(counting(200_000).body, more());
    expect(await refusalOf(() => producer.enqueueUpload(whole))).toMatchObject(expected);
    expect(whole.body instanceof Readable ? whole.body.destroyed : true).toBe(true);
    expect(await scene.keysOf('intake/')).toEqual(objects);
    expect((await uploads()).toSorted()).toEqual(jobs.toSorted());
  });

  it('over the size limit is not read to its end', async () => {
    const { body, taken } = counting(20 * LIMIT);
    expect(await refusalOf(() => producer.enqueueUpload(request(body)))).toMatchObject({ code: 'FILE_TOO_LARGE' });
    expect(taken()).toBeLessThan(2 * LIMIT);
  });

  it('is sent to S3 once if S3 fails, and is not queued', async () => {
    const jobs = await uploads();
    const fault = scene.services.s3.faults.set({
      match: { method: 'PUT', prefix: 'intake/' },
      fault: S3_ERRORS.internal,
    });
    const sent = request(counting(200_000).body, { length: 200_000 });
    expect(await refusalOf(() => producer.enqueueUpload(sent))).toMatchObject({ code: 'STORE_FAILED' });
    expect(fault.met).toBe(1);
    expect((await uploads()).toSorted()).toEqual(jobs.toSorted());
  });

  it('leaves an object without a job if S3 stored it without a response', async () => {
    const jobs = await uploads();
    scene.services.s3.faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault: { kind: 'lostResponse' } });
    const objects = await scene.keysOf('intake/acme/');
    const sent = request(counting(200_000).body, { length: 200_000 });
    expect(await refusalOf(() => producer.enqueueUpload(sent))).toMatchObject({ code: 'STORE_FAILED' });
    // Whether it exists is unknown: the sweep finds it without a job.
    expect(await scene.keysOf('intake/acme/')).toHaveLength(objects.length + 1);
    expect((await uploads()).toSorted()).toEqual(jobs.toSorted());
  });

  it('leaves nothing if KMS denies the key after the gate was read as open, and the tenant chose rejection', async () => {
    const key = await scene.tenant('denied');
    await scene.operator.putTenant('denied', { whenKeyShut: 'refuse' });
    scene.services.kms.disable(key);
    const { body, taken } = counting(200_000);
    const refused = await refusalOf(() => producer.enqueueUpload(request(body, { tenant: 'denied', length: 200_000 })));
    expect(refused.code).toBe('KEY_DISABLED');
    expect([taken(), body.destroyed]).toEqual([0, true]);
    expect(await scene.keysOf('intake/denied/')).toEqual([]);
  });

  it('with invalid metadata names the field before its first byte is read', async () => {
    const { body, taken } = counting(200_000);
    const metadata = { note: 'x'.repeat(2_000_000) };
    const refused = await refusalOf(() => producer.enqueueUpload(request(body, { metadata })));
    expect(refused).toMatchObject({ code: 'DOCUMENT_INVALID', field: 'metadata' });
    expect([taken(), body.destroyed]).toEqual([0, true]);
  });

  it('ends with its deadline while S3 hangs', async () => {
    using _real = realDeadlines();
    scene.services.s3.faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault: { kind: 'hang' } });
    const sent = request(counting(200_000).body, { length: 200_000 });
    const error = await refusalOf(() => producer.enqueueUpload(sent));
    expect(error).toMatchObject({ code: 'STORE_FAILED', reason: 'TimeoutError' });
  });
});

describe('an upload with the key shut', () => {
  async function shut(tenant: string, whenKeyShut: 'park' | 'refuse'): Promise<Producer> {
    const key = await scene.tenant(tenant);
    await scene.operator.putTenant(tenant, { whenKeyShut });
    await setGate({ redis: scene.redis, queue: scene.config.queue }, tenant, key);
    return scene.producer();
  }

  it('waits under the platform key', async () => {
    const parking = await shut('shut-park', 'park');
    const { body } = counting(200_000);
    const result = await parking.enqueueUpload(request(body, { tenant: 'shut-park', length: 200_000 }));
    const { body: sent, bytes } = await opened(result, FILENAME, 'shut-park');
    expect(sent).toHaveLength(200_000);
    expect((await headerOf(bytes)).context['purpose']).toBe('intake');
  });

  it.each([200_000, undefined])(
    'and length %s is rejected before its first byte is read, if the tenant chose so',
    async (length) => {
      const tenant = `shut-refuse-${length}`;
      const refusing = await shut(tenant, 'refuse');
      const { body, taken } = counting(200_000);
      const refused = await refusalOf(() => refusing.enqueueUpload(request(body, { tenant, length })));
      expect(refused.code).toBe('KEY_DISABLED');
      expect([taken(), body.destroyed]).toEqual([0, true]);
      expect(await scene.keysOf(`intake/${tenant}/`)).toEqual([]);
    },
  );
});

describe('the bytes of a stream', () => {
  it('are waited for 15 s while it stalls', async () => {
    const clock = new FakeClock(systemClock.now());
    const body = new PassThrough();
    body.write('some');
    const { chunks } = checkBody(body, undefined, LIMIT, clock);
    const reading = chunks[Symbol.asyncIterator]();
    await reading.next();
    const next = refusalOf(() => reading.next());
    clock.advance(14_999);
    expect(clock.pending).toBe(1);
    clock.advance(1);
    expect(await next).toMatchObject({ code: 'DOCUMENT_INVALID', field: 'body' });
    body.destroy();
  });
});
