// Content on its way in: its place, its encryption, and that only its job can open it.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { encryptMessage } from '../../src/envelope/message.ts';
import type { SealdexError } from '../../src/runtime/errors.ts';
import {
  locateContent,
  openContent,
  putContent,
  type ContentHeader,
  type ContentPlace,
  type ExpectedContent,
} from '../../src/intake/intake.ts';
import { intakeName, oldIntakeName, type IntakePlace } from '../../src/runtime/intake-key.ts';
import { objectName } from '../../src/runtime/names.ts';
import { removeIntake } from '../../src/store/intake.ts';
import { isRefusal } from '../../src/store/store.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { keysUnder } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { expectedOf, headerOf, openIntake, tenantOf, type Intake } from './fixture.ts';

let services: TestServices;
let intake: Intake;
let store: Store;

beforeAll(async () => {
  services = await testServices();
  intake = await openIntake(services);
  store = intake.deps(0).store;
});
afterEach(() => services.s3.faults.clear());
afterAll(async () => {
  await intake[Symbol.asyncDispose]();
  await services[Symbol.asyncDispose]();
});

const BODY = Buffer.from('{"title":"Wanderlust und Fernweh"}');
const never = new AbortController().signal;

const put = (header: ContentHeader, inlineBytes: number, body: Uint8Array = BODY) =>
  putContent(intake.deps(inlineBytes), tenantOf(header.tenant, intake.platformArn), header, body);

const placeOf = (header: ContentHeader, { intake: last }: { readonly intake: string }): IntakePlace => {
  const { tenant, job, kind, revision, documentId, corpus } = header;
  const { queue } = intake.deps(0);
  return { tenant, jobId: job, queue, kind, revision, object: objectName(documentId), corpus, intake: last };
};

const locate = (header: ContentHeader, content: ContentPlace, signal = never) =>
  locateContent(store, 'inline' in content ? content : { place: placeOf(header, content) }, signal);

async function messageOf(header: ContentHeader, content: ContentPlace): Promise<Buffer> {
  const found = await locate(header, content);
  if (!found) throw new Error('The content is gone.');
  return found.read();
}

const open = (expected: ExpectedContent, message: Buffer, tenant = expected.tenant) =>
  openContent(
    intake.deps(0).ring,
    { tenant, readableArns: new Set([intake.platformArn]), blocked: new Map() },
    expected,
    message,
  );

const faultOf = (call: Promise<unknown>): Promise<SealdexError> =>
  call.then(
    () => Promise.reject(new Error('The call did not fail.')),
    (error: SealdexError) => error,
  );

const keyOf = (header: ContentHeader, content: ContentPlace): string =>
  `intake/${'intake' in content ? intakeName(placeOf(header, content)) : ''}`;

describe('content', () => {
  it('is stored in the job up to the limit, and in S3 from one byte more', async () => {
    const header = headerOf();
    const whole = await messageOf(header, (await put(header, 1_000_000)).content);
    services.s3.requests.reset();
    const inline = await put(header, whole.length);
    expect(inline.content).toEqual({ inline: expect.any(String) as string });
    expect(services.s3.requests.all()).toEqual({});
    const stored = await put(header, whole.length - 1);
    expect(stored.content).toEqual({ intake: expect.stringMatching(/^[0-9a-f]{16}$/) as string });
    expect(services.s3.requests.all()).toEqual({ 'PUT object': 1 });
  });

  it('is stored only in S3 with a limit of 0, even when it is empty', async () => {
    expect((await put(headerOf(), 0, Buffer.alloc(0))).content).toHaveProperty('intake');
  });

  it.each([
    ['in the job', 1_048_576],
    ['in S3', 0],
  ])('%s is returned unchanged, with its header, and names its document', async (_, inlineBytes) => {
    for (const body of [BODY, Buffer.alloc(0), Buffer.from('\n\n{}\n'), Buffer.alloc(300_000, 7)]) {
      const header = headerOf({ ifExists: 'reject', documentId: 'a "b"\n\u2028 c' });
      const { content, object } = await put(header, inlineBytes, body);
      const found = await locate(header, content);
      const message = await found?.read();
      expect(message?.length).toBe(found?.bytes);
      expect(await open(expectedOf(header), message ?? Buffer.alloc(0))).toEqual({ header, body });
      expect(object).toBe(expectedOf(header).object);
    }
  });

  it('waits in S3 with only the name and the metadata of the contract', async () => {
    const header = headerOf();
    const { content } = await put(header, 0);
    expect((await store.head(keyOf(header, content)))?.metadata).toEqual({
      corpus: 'books',
      kind: 'index',
      revision: '1795461684317284',
      'job-id': header.job,
      v: '1',
    });
  });

  it('is never in plain text: neither text nor document id, in S3 or in the job', async () => {
    const header = headerOf({ documentId: 'geheimer-name' });
    const words = ['Wanderlust', 'Fernweh', 'geheimer-name', 'ifExists'];
    const findIn = (bytes: Buffer): string[] => words.filter((word) => bytes.includes(word));
    const plaintext = Buffer.from(`${JSON.stringify(header)}\n${BODY.toString()}`);
    expect(findIn(plaintext)).toEqual(words);
    const stored = await store.get(keyOf(header, (await put(header, 0)).content));
    expect(findIn(stored ? await readAll(stored) : plaintext)).toEqual([]);
    expect(findIn(Buffer.from(JSON.stringify(stored?.metadata)))).toEqual([]);
    const { content } = await put(header, 1_000_000);
    expect(findIn('inline' in content ? Buffer.from(content.inline, 'base64') : plaintext)).toEqual([]);
    expect(findIn(Buffer.from(JSON.stringify(content)))).toEqual([]);
  });

  it('put twice is two objects, and each removes only itself', async () => {
    const header = headerOf();
    const [first, second] = [await put(header, 0), await put(header, 0)];
    await first.remove();
    await first.remove();
    expect(await locate(header, first.content)).toBeUndefined();
    expect(await open(expectedOf(header), await messageOf(header, second.content))).toMatchObject({ body: BODY });
    await (await put(header, 1_000_000)).remove();
    expect(await locate(header, second.content)).toBeDefined();
  });

  it('is found and removed under the key that earlier versions wrote', async () => {
    const header = headerOf();
    const { content, place } = await put(header, 0);
    const message = await messageOf(header, content);
    const { jobId } = place!;
    await store.put(`intake/${oldIntakeName(place!)}`, message, {});
    await store.remove(keyOf(header, content));
    expect(await messageOf(header, content)).toEqual(message);
    await removeIntake(store, place!);
    expect(await keysUnder(store, `intake/acme/${jobId}/`)).toEqual([]);
  });

  it('is removed with one request if it has a key of this version', async () => {
    const header = headerOf();
    const { content, place } = await put(header, 0);
    await messageOf(header, content);
    services.s3.requests.reset();
    await removeIntake(store, place!);
    expect(services.s3.requests.all()).toEqual({ 'DELETE object': 1 });
  });

  it('not stored is an error, not a location', async () => {
    services.s3.faults.set({ match: { prefix: 'intake/' }, fault: S3_ERRORS.internal });
    expect((await faultOf(put(headerOf(), 0))).code).toBe('STORE_FAILED');
  });
});

describe('located content', () => {
  const place = { intake: '0123456789abcdef' };

  it('is undefined if it is missing', async () => {
    expect(await locate(headerOf(), place)).toBeUndefined();
  });

  it('is STORE_FAILED with reason IntakeRefused if it is denied, without regard to a canary', async () => {
    services.s3.faults.set({ match: { method: 'GET', prefix: 'intake/' }, fault: S3_ERRORS.accessDenied });
    const fault = await faultOf(locate(headerOf(), place));
    expect(fault).toMatchObject({ code: 'STORE_FAILED', reason: 'IntakeRefused' });
    expect(isRefusal(fault)).toBe(false);
  });

  it.each([
    [S3_ERRORS.noSuchBucket, 'NoSuchBucket'],
    [S3_ERRORS.expiredToken, 'ExpiredToken'],
    [S3_ERRORS.internal, 'InternalError'],
  ])('is STORE_FAILED with the error of S3 if the store fails', async (fault, reason) => {
    services.s3.faults.set({ match: { method: 'GET', prefix: 'intake/' }, fault });
    expect(await faultOf(locate(headerOf(), place))).toMatchObject({ code: 'STORE_FAILED', reason });
  });

  it('ends at the abort signal of its job', async () => {
    const hang = services.s3.faults.set({ match: { method: 'GET', prefix: 'intake/' }, fault: { kind: 'hang' } });
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const running = locate(headerOf(), place, controller.signal).catch((error: unknown) => error);
    await eventually(() => hang.waiting === 1);
    controller.abort(reason);
    expect(await running).toBe(reason);
  });

  it('is tampered with, and never read, if it is larger than any from a producer', async () => {
    let discarded = 0;
    const endless: Store = {
      ...store,
      get: () =>
        Promise.resolve({
          metadata: {},
          etag: '',
          bytes: 2 ** 40,
          body: (async function* () {
            yield Buffer.alloc(1);
          })(),
          discard: () => void (discarded += 1),
        }),
    };
    const content = { place: placeOf(headerOf(), place) };
    expect(await faultOf(locateContent(endless, content, never))).toMatchObject({
      code: 'CONTENT_TAMPERED',
      reason: 'length',
    });
    expect(discarded).toBe(1);
  });
});

describe('content is CONTENT_TAMPERED', () => {
  const other: Record<string, Partial<ExpectedContent>> = {
    corpus: { corpus: 'films' },
    job: { id: `j${'0'.repeat(32)}` },
    kind: { kind: 'upload' },
    'raised revision over an old ciphertext': { revision: 1795461684317285 },
    'lowered revision': { revision: 1 },
    document: { object: 'f'.repeat(64) },
  };

  it.each(Object.entries(other))('for a job with another %s', async (_, over) => {
    const header = headerOf();
    const message = await messageOf(header, (await put(header, 1_000_000)).content);
    expect(await faultOf(open({ ...expectedOf(header), ...over }, message))).toMatchObject({
      code: 'CONTENT_TAMPERED',
      reason: 'other-job',
    });
  });

  it('for a job of another tenant, by the context of its key', async () => {
    const header = headerOf();
    const message = await messageOf(header, (await put(header, 1_000_000)).content);
    expect(await faultOf(open({ ...expectedOf(header), tenant: 'rival' }, message))).toMatchObject({
      code: 'CONTENT_TAMPERED',
      reason: 'context',
    });
  });

  it('for a tenant without its key', async () => {
    const header = headerOf();
    const message = await messageOf(header, (await put(header, 1_000_000)).content);
    const allowed = { tenant: header.tenant, readableArns: new Set<string>(), blocked: new Map() };
    expect(await faultOf(openContent(intake.deps(0).ring, allowed, expectedOf(header), message))).toMatchObject({
      code: 'CONTENT_TAMPERED',
      reason: 'foreign-key',
    });
  });

  it('when its header names another tenant than its key', async () => {
    const header = headerOf();
    const lying = Buffer.from(`${JSON.stringify({ ...header, tenant: 'rival' })}\n{}`);
    const key = await intake.deps(0).ring.current(keyRef(header.tenant, intake.platformArn), 'documents', lying.length);
    expect(await faultOf(open(expectedOf(header), encryptMessage(key, lying)))).toMatchObject({
      code: 'CONTENT_TAMPERED',
      reason: 'other-job',
    });
  });

  it('when any of its bytes is changed, or it is too short or too long', async () => {
    const header = headerOf();
    const message = await messageOf(header, (await put(header, 1_000_000)).content);
    const expected = expectedOf(header);
    for (let at = 0; at < message.length; at += 1) {
      const damaged = Buffer.from(message);
      damaged[at]! ^= 1 << (at % 8);
      expect((await faultOf(open(expected, damaged))).code, `byte ${at}`).toBe('CONTENT_TAMPERED');
    }
    for (const wrong of [
      Buffer.alloc(0),
      message.subarray(0, -1),
      message.subarray(0, 100),
      Buffer.concat([message, Buffer.alloc(1)]),
      Buffer.from('not a message at all'),
    ])
      expect((await faultOf(open(expected, wrong))).code).toBe('CONTENT_TAMPERED');
  });

  it.each([
    ['no line', '{}'],
    ['no JSON', 'x\n{}'],
    ['an unknown field', `${JSON.stringify({ ...headerOf(), more: 1 })}\n{}`],
    ['a missing field', `${JSON.stringify({ ...headerOf(), ifExists: undefined })}\n{}`],
    ['an unknown choice', `${JSON.stringify({ ...headerOf(), ifExists: 'merge' })}\n{}`],
    ['another version', `${JSON.stringify({ ...headerOf(), v: 0 })}\n{}`],
    ['a version given as text', `${JSON.stringify({ ...headerOf(), v: '2' })}\n{}`],
    ['a hostile key', `${JSON.stringify(headerOf()).replace('{', '{"__proto__":{"x":1},')}\n{}`],
  ])('when its header is %s', async (_, text) => {
    const header = headerOf();
    const key = await intake.deps(0).ring.current(keyRef(header.tenant, intake.platformArn), 'documents', text.length);
    const fault = await faultOf(open(expectedOf(header), encryptMessage(key, Buffer.from(text))));
    expect(fault).toMatchObject({ code: 'CONTENT_TAMPERED', reason: 'content-header' });
    expect(fault.cause).toBeUndefined();
  });
});

describe('a missing key', () => {
  it('is waited for no longer than its caller waits', async () => {
    const arn = services.kms.createKey({ description: 'slow' });
    const hang = services.kms.faults.set({ match: { key: arn }, fault: { kind: 'hang' } });
    const controller = new AbortController();
    const reason = new Error('nobody waits');
    const header = headerOf({ tenant: 'slow' });
    const running = putContent(intake.deps(0), tenantOf('slow', arn), header, BODY, controller.signal).catch(
      (error: unknown) => error,
    );
    await eventually(() => hang.met > 0);
    controller.abort(reason);
    expect(await running).toBe(reason);
    hang.clear();
  });

  it('is an error of the tenant, and nothing is stored', async () => {
    const arn = services.kms.createKey({ description: 'shut' });
    services.kms.disable(arn);
    services.s3.requests.reset();
    const header = headerOf({ tenant: 'shut' });
    expect((await faultOf(putContent(intake.deps(0), tenantOf('shut', arn), header, BODY))).code).toBe('KEY_DISABLED');
    expect(services.s3.requests.all()).toEqual({});
  });
});
