// Results of producers, their settings, and how they are closed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import * as sealdex from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { documentOf, ended, openScene, refusalOf, type Scene } from './fixture.ts';

const { createProducer, createReader, SealdexError } = sealdex;
const CHILD = fileURLToPath(new URL('./enqueue-child.ts', import.meta.url));

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
});
afterEach(() => vi.unstubAllEnvs());
afterAll(() => scene[Symbol.asyncDispose]());

const request = (id = 'doc', more: object = {}) => ({
  tenant: 'acme',
  corpus: 'docs',
  document: documentOf(id),
  ...more,
});

it('the package exports the functions for its parts, its error, codes and settings, and no other values', () => {
  expect(Object.keys(sealdex).toSorted((a, b) => a.localeCompare(b))).toEqual([
    'CODES',
    'createOperator',
    'createProducer',
    'createReader',
    'SealdexError',
    'SETTINGS',
    'startWorker',
  ]);
});

describe('results', () => {
  it('have the id of a queued job and a revision near the present in microseconds', async () => {
    const producer = await scene.producer();
    const answer = await producer.enqueueIndex(request());
    expect(Object.keys(answer).sort()).toEqual(['jobId', 'revision', 'status']);
    expect(answer.jobId).toMatch(/^j[0-9a-f]{32}$/);
    expect(Number.isSafeInteger(answer.revision)).toBe(true);
    expect(Math.abs(answer.revision / 1000 - Date.now())).toBeLessThan(60_000);
  });

  it('have the status of a job from queued to done, superseded or dead, and unknown for any other', async () => {
    const producer = await scene.producer();
    const first = await producer.enqueueIndex(request('status'));
    const second = await producer.enqueueIndex(request('status'));
    expect(await producer.status(first.jobId)).toMatchObject({ state: 'queued' });
    const stop = await scene.work();
    expect(['done', 'superseded']).toContain((await ended(producer, first.jobId, 'done', 'superseded')).state);
    expect((await ended(producer, second.jobId, 'done')).state).toBe('done');
    const dead = await producer.enqueueIndex(request('status', { ifExists: 'reject' }));
    const end = await ended(producer, dead.jobId, 'dead');
    expect(end).toEqual({ state: 'dead', code: 'DOCUMENT_CONFLICT', since: expect.any(Number) as number });
    await stop();
    for (const id of [`j${'0'.repeat(32)}`, '', 'doc', '*', undefined, null, {}])
      expect(await producer.status(id as string)).toEqual({ state: 'unknown' });
  });

  it('contain a SealdexError with its code, its field if there is one, and no content in its text', async () => {
    const producer = await scene.producer();
    const error = await refusalOf(() => producer.enqueueIndex(request('doc', { document: { secret: 'mango' } })));
    expect(error).toBeInstanceOf(SealdexError);
    expect(error).toMatchObject({
      name: 'SealdexError',
      code: 'DOCUMENT_INVALID',
      field: expect.any(String) as string,
    });
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain('mango');
  });
});

describe('settings', () => {
  it('come from the environment, and those of the object override it', async () => {
    for (const [name, value] of Object.entries(scene.settings)) vi.stubEnv(name, String(value));
    {
      await using producer = await createProducer();
      await producer.enqueueIndex(request('from-environment'));
    }
    vi.stubEnv('SEALDEX_QUEUE', 'another-queue');
    await using producer = await createProducer({ SEALDEX_QUEUE: scene.config.queue });
    const { jobId } = await producer.enqueueIndex(request('over-environment'));
    expect(await scene.jobs()).toContain(jobId);
  });

  it('are rejected with all errors listed if invalid, by producer and reader', async () => {
    for (const create of [createProducer, createReader]) {
      const wrong = { ...scene.settings, SEALDEX_BUCKET: '', SEALDEX_INLINE_BYTES: -1, SEALDEX_QUEUE: 'a b' };
      const error = await refusalOf(() => create(wrong));
      expect(error.code).toBe('CONFIG_INVALID');
      for (const name of ['SEALDEX_BUCKET', 'SEALDEX_INLINE_BYTES', 'SEALDEX_QUEUE'])
        expect(error.message).toContain(name);
    }
  });
});

describe('closing a producer', () => {
  it('can be repeated, in parallel and later', async () => {
    const producer = await createProducer(scene.settings);
    const dispose = (): PromiseLike<void> => producer[Symbol.asyncDispose]();
    expect(await Promise.all([dispose(), dispose()])).toEqual([undefined, undefined]);
    expect(await dispose()).toBeUndefined();
  });

  it('rejects later calls with an error that names the producer, and destroys the stream of an upload', async () => {
    const producer = await createProducer(scene.settings);
    await producer.enqueueIndex(request('before-the-end'));
    await producer[Symbol.asyncDispose]();
    const body = Readable.from([Buffer.from('text')]);
    for (const call of [
      () => producer.enqueueIndex(request()),
      () => producer.enqueueIndexBulk([request()]),
      () => producer.enqueueDelete({ tenant: 'acme', corpus: 'docs', id: 'one' }),
      () => producer.enqueueUpload({ tenant: 'acme', corpus: 'docs', filename: 'a.txt', body }),
      () => producer.status(`j${'0'.repeat(32)}`),
    ])
      expect(await refusalOf(call)).toMatchObject({
        code: 'INTERNAL',
        reason: 'Closed',
        message: expect.stringMatching(/^The producer was closed\./) as string,
      });
    expect(body.destroyed).toBe(true);
  });

  it.each([
    ['S3 is waited for', () => scene.services.s3.faults.set({ match: { prefix: 'intake/' }, fault: { kind: 'hang' } })],
    ['KMS is waited for', () => scene.services.kms.faults.set({ fault: { kind: 'hang' } })],
  ])('during an enqueue, while %s, ends it with a typed error', async (_, hang) => {
    await scene.tenant('middle').catch(() => {});
    const producer = await createProducer({ ...scene.settings, SEALDEX_INLINE_BYTES: 0 });
    const fault = hang();
    const pending = refusalOf(() => producer.enqueueIndex(request('middle', { tenant: 'middle' })));
    const bulk = producer.enqueueIndexBulk(
      Array.from({ length: 50 }, (_, n) => request(`m${n}`, { tenant: 'middle' })),
    );
    await eventually(() => fault.waiting > 0);
    await producer[Symbol.asyncDispose]();
    expect((await pending).code).toMatch(/^(KMS|STORE|REDIS)_FAILED$/);
    for (const result of await bulk)
      expect(result).toMatchObject({ code: expect.stringMatching(/_FAILED$/) as string });
    fault.clear();
  });

  it('does not keep the process running', async () => {
    const child = spawn(process.execPath, [CHILD, JSON.stringify(scene.settings), JSON.stringify(request('child'))], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [[code], answer, errors] = await Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]);
    expect({ code: code as number, errors }).toEqual({ code: 0, errors: '' });
    expect(JSON.parse(answer)).toMatchObject({ status: 'queued' });
  });
});
