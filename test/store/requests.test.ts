// Guarantees of the store's requests: deadlines, aborts, bodies of the right length, and no socket left behind.
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { S3_ERRORS } from '@sealdex/local-aws';
import { readAll, type Store } from '../../src/store/store.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { unhurried } from '../support/unhurried.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';
import { faultOf, partly, rawServer, storeOf, type RawServer } from './fixture.ts';

let services: AwsServices;
let store: Store;

beforeAll(async () => {
  services = await awsServices();
  store = storeOf(services.settings);
});
afterEach(() => services.s3.faults.clear());
afterAll(async () => {
  store.close();
  await services[Symbol.asyncDispose]();
});

const BODY = Buffer.from('body');
const operations: [string, (store: Store, key: string, signal?: AbortSignal) => Promise<unknown>][] = [
  ['put', (store, key, signal) => store.put(key, BODY, { signal })],
  ['get', (store, key, signal) => store.get(key, { signal })],
  ['head', (store, key, signal) => store.head(key, { signal })],
  ['remove', (store, key, signal) => store.remove(key, { signal })],
  ['list', (store, key, signal) => store.list(key, { signal })],
  ['listFolders', (store, key, signal) => store.listFolders(key, { signal })],
];

describe('objects', () => {
  it('are returned with their bytes, metadata and etag, and are deleted when removed', async () => {
    const metadata = { revision: '1', 'job-id': 'j1' };
    const written = await store.put('objects/a', BODY, { metadata });
    const stored = await store.get('objects/a');
    expect(stored && (await readAll(stored))).toEqual(BODY);
    const facts = { metadata, bytes: BODY.length, etag: written.kind === 'written' ? written.etag : '' };
    expect(stored).toMatchObject(facts);
    expect(await store.head('objects/a')).toEqual(facts);
    await store.remove('objects/a');
    await store.remove('objects/a');
    expect([await store.get('objects/a'), await store.head('objects/a')]).toEqual([undefined, undefined]);
  });

  it('can be empty', async () => {
    await store.put('objects/empty', Buffer.alloc(0), {});
    const stored = await store.get('objects/empty');
    expect(stored && (await readAll(stored)).length).toBe(0);
  });

  it('are written only if the condition holds', async () => {
    const put = (condition: { absent: true } | { etag: string }) => store.put('objects/c', BODY, { condition });
    expect(await put({ etag: '"0"' })).toEqual({ kind: 'missing' });
    const first = await put({ absent: true });
    expect(await put({ absent: true })).toEqual({ kind: 'exists' });
    expect(await put({ etag: '"0"' })).toEqual({ kind: 'exists' });
    expect((await put({ etag: first.kind === 'written' ? first.etag : '' })).kind).toBe('written');
  });

  it('are removed only if the condition holds', async () => {
    const written = await store.put('objects/r', BODY, {});
    const etag = written.kind === 'written' ? written.etag : '';
    expect(await store.remove('objects/r', { etag: '"0"' })).toBe('changed');
    expect((await store.head('objects/r'))?.etag).toBe(etag);
    expect((await store.list('objects/r')).objects[0]?.etag).toBe(etag);
    expect(await store.remove('objects/r', { etag })).toBe('removed');
    expect(await store.head('objects/r')).toBeUndefined();
    expect(await store.remove('objects/r', { etag })).toBe('changed');
    expect(await store.remove('objects/r')).toBe('removed');
  });

  it('are listed page by page in key order, each once', async () => {
    const keys = Array.from({ length: 23 }, (_, n) => `listed/a/${String(n).padStart(2, '0')}`);
    await Promise.all([...keys, 'listed/b/0'].map((key) => store.put(key, Buffer.alloc(3), {})));
    const seen: string[] = [];
    const pages: number[] = [];
    for (let after: string | undefined, more = true; more;) {
      const page = await store.list('listed/a/', { limit: 5, ...(after === undefined ? {} : { after }) });
      seen.push(...page.objects.map(({ key }) => key));
      pages.push(page.objects.length);
      expect(page.objects.every(({ bytes, modified }) => bytes === 3 && modified.getTime() > 0)).toBe(true);
      after = page.next;
      more = after !== undefined;
    }
    expect(seen).toEqual(keys);
    expect(pages).toEqual([5, 5, 5, 5, 3]);
    expect(await store.list('listed/none/')).toEqual({ objects: [] });
  });
});

describe('a request without a response', () => {
  it('ends at the deadline of a fail-fast store, for every operation', async () => {
    using _real = realDeadlines();
    const prompt = storeOf(services.settings, 'prompt');
    services.s3.faults.set({ match: { prefix: 'late/' }, fault: { kind: 'hang' } });
    const faults = await Promise.all(operations.map(([, call]) => faultOf(call(prompt, 'late/a'))));
    expect(faults.map(({ code, reason }) => `${code} ${reason}`)).toEqual(
      operations.map(() => 'STORE_FAILED TimeoutError'),
    );
    prompt.close();
  });

  it('ends at the deadline of a fail-fast store while the client waits before its second attempt', async () => {
    const prompt = storeOf(services.settings, 'prompt');
    services.s3.faults.set({ match: { prefix: 'slow/' }, fault: S3_ERRORS.slowDown });
    const faults = await Promise.all(Array.from({ length: 10 }, () => faultOf(prompt.get('slow/a'))));
    expect(
      faults.every(({ code, reason = '' }) => code === 'STORE_FAILED' && /SlowDown|TimeoutError/.test(reason)),
    ).toBe(true);
    prompt.close();
  });

  test.each(operations)('(%s) ends when its caller aborts, with the reason of the signal', async (name, call) => {
    const hang = services.s3.faults.set({ match: { prefix: `abort-${name}/` }, fault: { kind: 'hang' } });
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const running = call(store, `abort-${name}/a`, controller.signal).catch((error: unknown) => error);
    await eventually(() => hang.waiting === 1);
    controller.abort(reason);
    expect(await running).toBe(reason);
    await eventually(() => hang.waiting === 0);
  });

  it('ends at once when its caller aborts while the client waits before its second attempt', async () => {
    const slow = services.s3.faults.set({ match: { prefix: 'wait/' }, fault: S3_ERRORS.slowDown, times: 1 });
    services.s3.faults.set({ match: { prefix: 'wait/' }, fault: { kind: 'hang' } });
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const running = store.get('wait/a', { signal: controller.signal }).catch((error: unknown) => error);
    await eventually(() => slow.met === 1);
    controller.abort(reason);
    // The client's own wait is longer than a turn of the event loop.
    expect(await Promise.race([running, new Promise((resolve) => setImmediate(resolve))])).toBe(reason);
  });

  test.each(operations)('is not sent for an aborted caller: %s', async (name, call) => {
    const reason = new Error('too late');
    expect(await call(store, `before-${name}/a`, AbortSignal.abort(reason)).catch((error: unknown) => error)).toBe(
      reason,
    );
    expect(services.s3.requests.count({ prefix: `before-${name}/` })).toBe(0);
  });

  test.each(operations)('ends when the store is closed, and none is sent after that: %s', async (name, call) => {
    const closing = storeOf(services.settings);
    const hang = services.s3.faults.set({ match: { prefix: `close-${name}/` }, fault: { kind: 'hang' } });
    const running = faultOf(call(closing, `close-${name}/a`));
    await eventually(() => hang.waiting === 1);
    closing.close();
    closing.close();
    expect((await running).code).toBe('STORE_FAILED');
    expect(await faultOf(call(closing, `close-${name}/a`))).toMatchObject({ code: 'STORE_FAILED', reason: 'Closed' });
  });
});

describe('a response body', () => {
  const at = (server: RawServer, use?: 'prompt'): Store =>
    storeOf({ ...services.settings, AWS_ENDPOINT_URL_S3: server.endpoint }, use);
  const MIB = 1_048_576;

  it('stopped in the middle ends at the deadline of a fail-fast store', async () => {
    using _real = realDeadlines();
    await using server = await rawServer(partly(MIB, 300_000, 'silent'));
    const prompt = at(server, 'prompt');
    const stored = await unhurried(prompt).get('a');
    expect(stored && (await faultOf(readAll(stored)))).toMatchObject({ code: 'STORE_FAILED', reason: 'TimeoutError' });
    prompt.close();
  });

  it('stopped in the middle ends when its caller aborts, with the reason of the signal', async () => {
    await using server = await rawServer(partly(MIB, 300_000, 'silent'));
    const patient = at(server);
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const stored = await patient.get('a', { signal: controller.signal });
    let seen = 0;
    const reading = (async () => {
      for await (const chunk of stored?.body ?? []) {
        seen += chunk.length;
        if (seen === 300_000) setImmediate(() => controller.abort(reason));
      }
    })();
    expect(await reading.catch((error: unknown) => error)).toBe(reason);
    await eventually(async () => (await server.connections()) === 0);
    patient.close();
  });

  it('not yet read ends when its caller aborts', async () => {
    await using server = await rawServer(partly(MIB, 300_000, 'silent'));
    const patient = at(server);
    const controller = new AbortController();
    const reason = new Error('nobody waits');
    const stored = await patient.get('a', { signal: controller.signal });
    controller.abort(reason);
    await eventually(async () => (await server.connections()) === 0);
    expect(stored && (await readAll(stored).catch((error: unknown) => error))).toBe(reason);
    patient.close();
  });

  it('cut off is STORE_FAILED', async () => {
    await using server = await rawServer(partly(MIB, 300_000, 'end'));
    const patient = at(server);
    const stored = await patient.get('a');
    expect(stored && (await faultOf(readAll(stored))).code).toBe('STORE_FAILED');
    patient.close();
  });

  it.each([
    ['shorter', 3],
    ['longer', 5],
  ])('%s than announced is rejected', async (_, length) => {
    async function* body() {
      yield Buffer.alloc(2);
      yield Buffer.alloc(length - 2);
    }
    expect(await faultOf(readAll({ body: body(), bytes: 4 }))).toMatchObject({
      code: 'STORE_FAILED',
      reason: 'LengthMismatch',
    });
  });

  it('read in part frees its connection: discarded, left early, or never read', async () => {
    await using server = await rawServer(partly(MIB, 300_000, 'silent'));
    const patient = at(server);
    for (let n = 0; n < 5; n++) (await patient.get('a'))?.discard();
    for (let n = 0; n < 5; n++) for await (const chunk of (await patient.get('a'))?.body ?? []) if (chunk) break;
    await eventually(async () => (await server.connections()) === 0);
    const unread = await Promise.all(Array.from({ length: 5 }, () => patient.get('a')));
    expect(await server.connections()).toBe(5);
    patient.close();
    await eventually(async () => (await server.connections()) === 0);
    expect(unread[0] && (await faultOf(readAll(unread[0]))).code).toBe('STORE_FAILED');
  });

  it('read to its end leaves the connection to the next request', async () => {
    await using server = await rawServer((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-length': 200_000 }).end(Buffer.alloc(200_000));
    });
    const patient = at(server);
    for (let n = 0; n < 30; n++) {
      const stored = await patient.get('a');
      expect(stored && (await readAll(stored)).length).toBe(200_000);
      stored?.discard();
    }
    // A request that comes in the same turn as the end of the last one may open a second.
    expect(server.accepted).toBeLessThan(4);
    patient.close();
  });

  it('can be read slowly: a pause of its reader does not count as one of the store', async () => {
    using _real = realDeadlines();
    await using server = await rawServer((request, response) => {
      request.resume();
      if (request.url?.includes('silent')) return;
      response.writeHead(200, { 'content-length': 4 * MIB }).end(Buffer.alloc(4 * MIB));
    });
    const prompt = at(server, 'prompt');
    const stored = await unhurried(prompt).get('a');
    let seen = 0;
    for await (const chunk of stored?.body ?? []) {
      // Two deadlines pass without a read.
      if (seen === 0) await faultOf(prompt.get('silent'));
      if (seen === 0) await faultOf(prompt.get('silent'));
      seen += chunk.length;
    }
    expect(seen).toBe(4 * MIB);
    prompt.close();
  });
});
