// An idempotency key reused for another request: a conflict, and the first job stays unchanged.
import { createHash, createHmac } from 'node:crypto';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KMS_ERRORS, S3_ERRORS } from '@sealdex/local-aws';
import type {
  DeleteRequest,
  EnqueueResult,
  IndexRequest,
  Producer,
  UploadRequest,
} from '../../src/producer/producer.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { eventually } from '../support/eventually.ts';
import { codeOf, documentOf, ended, openScene, refusalOf, type Scene } from './fixture.ts';

const CHILD = fileURLToPath(new URL('./enqueue-child.ts', import.meta.url));
const CONFLICT = 'IDEMPOTENCY_CONFLICT';

let scene: Scene;
let producer: Producer;
let second: Producer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0 });
  await scene.tenant('acme');
  await scene.tenant('other');
  producer = await scene.producer();
  second = await scene.producer();
});
afterEach(() => {
  scene.services.s3.faults.clear();
  scene.services.kms.faults.clear();
});
afterAll(() => scene[Symbol.asyncDispose]());

const PLACE = { tenant: 'acme', corpus: 'docs' };
const index = (key: string, more: Partial<IndexRequest> = {}): IndexRequest => ({
  ...PLACE,
  document: documentOf(key),
  idempotencyKey: key,
  ...more,
});
const remove = (key: string, id = key): DeleteRequest => ({ ...PLACE, id, idempotencyKey: key });
const FILE = Buffer.alloc(200_000, 'x');
const upload = (key: string, more: Partial<UploadRequest> = {}): UploadRequest => ({
  ...PLACE,
  filename: 'file.txt',
  body: FILE,
  idempotencyKey: key,
  ...more,
});
const streamed = (bytes: Buffer): Readable =>
  Readable.from([bytes.subarray(0, 7), bytes.subarray(7)], { objectMode: false });

const root = (): string => `sealdex:{${scene.config.queue}}`;
const recordOf = ({ jobId }: EnqueueResult): string => `${root()}:markers:${jobId}`;
const fingerprintOf = (result: EnqueueResult): Promise<string | null> =>
  scene.redis.hget(recordOf(result), 'fingerprint');
const duplicateOf = ({ jobId, revision }: EnqueueResult): object => ({ status: 'duplicate', jobId, revision });
const recordsOf = (): Promise<string[]> => scene.redis.keys(`${root()}:markers:*`);

/** The job's entry in Redis and its content in S3. */
async function jobOf({ jobId }: EnqueueResult): Promise<unknown> {
  const { data } = await scene.operator.job(jobId);
  return { data, objects: await scene.keysOf(`intake/acme/${jobId}/`) };
}

describe('a reused idempotency key', () => {
  const others: [string, Partial<IndexRequest>][] = [
    ['other content', { document: documentOf('index', 200) }],
    ['another document id', { document: documentOf('another') }],
    ['another ifExists', { ifExists: 'reject' }],
  ];
  it.each(others)('for an index request with %s is a conflict', async (name, more) => {
    const key = `index ${name}`;
    const sent = index(key, { document: documentOf('index') });
    const first = await producer.enqueueIndex(sent);
    const before = await jobOf(first);
    for (const by of [producer, second]) {
      const refusal = await refusalOf(() => by.enqueueIndex({ ...sent, ...more }));
      expect(refusal).toMatchObject({ code: CONFLICT, field: 'idempotencyKey' });
    }
    expect(await jobOf(first)).toEqual(before);
    for (const by of [producer, second]) expect(await by.enqueueIndex(sent)).toMatchObject(duplicateOf(first));
  });

  it('for an upload is a conflict if the file, its name or an option differs, as bytes and as a stream', async () => {
    const first = await producer.enqueueUpload(upload('file'));
    const before = await jobOf(first);
    const otherFile = Buffer.concat([FILE.subarray(1), Buffer.from('y')]);
    const differing: Partial<UploadRequest>[] = [
      { body: otherFile },
      { body: streamed(otherFile) },
      { body: streamed(otherFile), length: otherFile.length },
      { filename: 'other.txt', documentId: 'file.txt' },
      { documentId: 'another' },
      { contentType: 'text/plain' },
      { metadata: { of: 'another' } },
      { ifExists: 'reject' },
    ];
    for (const more of differing) {
      const sent = upload('file', more);
      expect(await codeOf(() => second.enqueueUpload(sent))).toBe(CONFLICT);
      expect(sent.body instanceof Readable ? sent.body.destroyed : true).toBe(true);
    }
    expect(await jobOf(first)).toEqual(before);
    for (const more of [
      {},
      { body: streamed(FILE) },
      { body: streamed(FILE), length: FILE.length },
      { documentId: 'file.txt' },
    ])
      expect(await second.enqueueUpload(upload('file', more))).toMatchObject(duplicateOf(first));
  });

  it('for an upload is compared with the whole stream of the first request', async () => {
    const first = await producer.enqueueUpload(upload('stream', { body: streamed(FILE), length: FILE.length }));
    expect(await second.enqueueUpload(upload('stream'))).toMatchObject(duplicateOf(first));
    expect(await codeOf(() => second.enqueueUpload(upload('stream', { body: FILE.subarray(1) })))).toBe(CONFLICT);
  });

  it('for the deletion of another document is a conflict', async () => {
    const first = await producer.enqueueDelete(remove('deletion'));
    expect(await codeOf(() => second.enqueueDelete(remove('deletion', 'another')))).toBe(CONFLICT);
    expect(await second.enqueueDelete(remove('deletion'))).toMatchObject(duplicateOf(first));
  });

  it('for another kind of request is another job', async () => {
    const results = [
      await producer.enqueueIndex(index('kinds')),
      await producer.enqueueUpload(upload('kinds')),
      await producer.enqueueDelete(remove('kinds')),
    ];
    expect(results.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
  });

  it('for another request is a conflict after the job is done, and for the same one a duplicate', async () => {
    const first = await producer.enqueueIndex(index('done'));
    const stop = await scene.work();
    await ended(producer, first.jobId);
    await stop();
    expect(await codeOf(() => second.enqueueIndex(index('done', { document: documentOf('other') })))).toBe(CONFLICT);
    expect(await second.enqueueIndex(index('done'))).toMatchObject({ ...duplicateOf(first), state: 'done' });
  });

  it('by another process is compared as by this one', async () => {
    const first = await producer.enqueueIndex(index('process'));
    expect(JSON.parse((await inChild(index('process'))).stdout)).toMatchObject(duplicateOf(first));
    const refused = await inChild(index('process', { document: documentOf('other') }));
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toContain(CONFLICT);
  });
});

describe('two parallel requests with one idempotency key', () => {
  it('are queued once if equal; if different, one is queued and the other is a conflict', async () => {
    const inline = { SEALDEX_INLINE_BYTES: 4096 };
    const producers = [await scene.producer(inline), await scene.producer(inline)];
    for (const by of producers) await by.enqueueIndex(index('warm'));
    for (let round = 0; round < 5; round++) {
      const key = `race ${round}`;
      const sent = [index(key), index(key, { document: documentOf('other') })];
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, at) =>
          producers[at % 2]!.enqueueIndex(sent[(at >> 1) % 2]!).then(
            (result) => ({ at, jobId: result.jobId, outcome: result.status as string }),
            (error: unknown) => ({ at, jobId: '', outcome: String((error as { code?: unknown }).code) }),
          ),
        ),
      );
      const counts = Object.groupBy(answers, ({ outcome }) => outcome);
      expect(counts['queued']).toHaveLength(1);
      expect(counts[CONFLICT]).toHaveLength(4);
      const won = counts['queued']![0]!;
      const isOfWinner = ({ at }: { at: number }): boolean => (at >> 1) % 2 === (won.at >> 1) % 2;
      expect(counts['duplicate']!.every(isOfWinner)).toBe(true);
      expect(await scene.jobs()).toContain(won.jobId);
    }
  });

  it('and different files queue the file that arrived first, and nothing of the other is left', async () => {
    const hanging = scene.services.s3.faults.set({
      match: { method: 'PUT', prefix: 'intake/' },
      fault: { kind: 'hang' },
    });
    const otherFile = Buffer.alloc(FILE.length, 'y');
    const answers = Promise.all(
      [FILE, otherFile].map((bytes) =>
        producer.enqueueUpload(upload('files', { body: streamed(bytes), length: bytes.length })).then(
          ({ status, jobId }) => ({ status, jobId }),
          (error: unknown) => ({ status: (error as { code: string }).code, jobId: '' }),
        ),
      ),
    );
    await eventually(() => hanging.waiting === 2);
    hanging.clear();
    const found = await answers;
    expect(found.map(({ status }) => status).toSorted()).toEqual([CONFLICT, 'queued']);
    const { jobId } = found.find(({ status }) => status === 'queued')!;
    expect(await scene.keysOf(`intake/acme/${jobId}/`)).toHaveLength(1);
  });
});

describe('an idempotency record', () => {
  it('without a fingerprint, from an older producer, makes every request with its key a duplicate', async () => {
    const first = await producer.enqueueIndex(index('old'));
    await scene.redis.hdel(recordOf(first), 'fingerprint');
    const other = index('old', { document: documentOf('other') });
    for (const sent of [index('old'), other]) expect(await second.enqueueIndex(sent)).toMatchObject(duplicateOf(first));
    expect(await fingerprintOf(first)).toBeNull();
  });

  it('expired while its job waits takes no other fingerprint, so that the job does not conflict with it', async () => {
    const first = await producer.enqueueIndex(index('expired'));
    await scene.redis.del(recordOf(first));
    const other = index('expired', { document: documentOf('other') });
    for (const sent of [other, index('expired')])
      expect(await second.enqueueIndex(sent)).toMatchObject(duplicateOf(first));
    expect(await fingerprintOf(first)).toBeNull();
    expect((await jobOf(first)) as { objects: string[] }).toMatchObject({ objects: { length: 1 } });
  });

  it('has the fingerprint of its job if the producer died before the confirmation', async () => {
    const first = await producer.enqueueIndex(index('unconfirmed'));
    await scene.redis.hdel(recordOf(first), 'confirmed');
    const other = index('unconfirmed', { document: documentOf('other') });
    expect(await codeOf(() => second.enqueueIndex(other))).toBe(CONFLICT);
    expect(await second.enqueueIndex(index('unconfirmed'))).toMatchObject(duplicateOf(first));
  });

  it('is free for another request if the first one failed before its job was added', async () => {
    const fault = scene.services.s3.faults.set({ match: { prefix: 'intake/' }, fault: S3_ERRORS.internal });
    expect(await codeOf(() => producer.enqueueIndex(index('failed')))).toBe('STORE_FAILED');
    fault.clear();
    const other = index('failed', { document: documentOf('other') });
    expect(await second.enqueueIndex(other)).toMatchObject({ status: 'queued' });
    expect(await codeOf(() => producer.enqueueIndex(index('failed')))).toBe(CONFLICT);
  });

  it('reveals nothing about content: equal requests differ by tenant and key, and no guess matches', async () => {
    const document = documentOf('guessed');
    const results = [
      await producer.enqueueIndex(index('guess 1', { document })),
      await producer.enqueueIndex(index('guess 2', { document })),
      await producer.enqueueIndex(index('guess 1', { document, tenant: 'other' })),
      await producer.enqueueIndex(index('guess 1', { document, corpus: 'more' })),
    ];
    const fingerprints = await Promise.all(results.map(fingerprintOf));
    expect(new Set(fingerprints).size).toBe(4);
    const content = JSON.stringify(document);
    const records = await scene.redis.hgetall(recordOf(results[0]!));
    for (const key of [undefined, '', results[0]!.jobId, 'acme', 'guess 1', scene.config.platformKeyArn])
      for (const guess of [content, results[0]!.jobId + content, JSON.stringify(['acme', 'docs', 'guessed', content])])
        for (const encoding of ['base64url', 'base64', 'hex'] as const) {
          const hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
          expect(JSON.stringify(records)).not.toContain(hash.update(guess).digest(encoding));
        }
  });
});

describe('the secret of the fingerprints', () => {
  it.each([
    ['KMS', 'KMS_FAILED', () => scene.services.kms.faults.set({ fault: KMS_ERRORS.internal })],
    [
      'S3',
      'STORE_FAILED',
      () => scene.services.s3.faults.set({ match: { prefix: 'system/' }, fault: S3_ERRORS.internal }),
    ],
  ])(
    'is required for a request with a key: the request fails if %s fails, and nothing is queued or stored',
    async (name, code, fail) => {
      const fresh = await scene.producer();
      await fresh.enqueueIndex(index('warm', { idempotencyKey: undefined }));
      const before = [await scene.jobs(), await recordsOf()];
      const fault = fail();
      expect(await codeOf(() => fresh.enqueueIndex(index(`down ${name}`)))).toBe(code);
      expect([await scene.jobs(), await recordsOf()]).toEqual(before);
      fault.clear();
      expect(await fresh.enqueueIndex(index(`down ${name}`))).toMatchObject({ status: 'queued' });
    },
  );

  it('is one object and costs a process one KMS call, and none without an idempotency key', async () => {
    expect(await scene.keysOf('system/')).toContain(`system/${scene.config.queue}/fingerprint-key`);
    const fresh = await scene.producer();
    const platformCalls = (): number => scene.services.kms.counts.count({ key: scene.config.platformKeyArn });
    const before = platformCalls();
    await fresh.enqueueIndex(index('none', { idempotencyKey: undefined }));
    expect(platformCalls()).toBe(before);
    for (const key of ['one', 'two', 'three']) await fresh.enqueueIndex(index(key));
    expect(platformCalls()).toBe(before + 1);
  });

  it('remains usable after a change of the platform key with the former key disabled', async () => {
    const changed: Settings = {
      SEALDEX_PLATFORM_KEY_ARN: scene.services.kms.createKey(),
      SEALDEX_PLATFORM_FORMER_KEY_ARNS: scene.config.platformKeyArn,
    };
    const first = await producer.enqueueIndex(index('changed'));
    const other = index('changed', { document: documentOf('other') });
    expect(await codeOf(async () => (await scene.producer(changed)).enqueueIndex(other))).toBe(CONFLICT);
    scene.services.kms.disable(scene.config.platformKeyArn);
    try {
      const later = await scene.producer(changed);
      // Nothing can be compared under another secret.
      expect(await later.enqueueIndex(other)).toMatchObject(duplicateOf(first));
      const next = await later.enqueueIndex(index('next'));
      expect(await later.enqueueIndex(index('next'))).toMatchObject(duplicateOf(next));
    } finally {
      scene.services.kms.enable(scene.config.platformKeyArn);
    }
  });
});

async function inChild(request: IndexRequest): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(scene.settings), JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr };
}
