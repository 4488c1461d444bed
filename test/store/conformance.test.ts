// The common behavior of the store port: the adapter over the local S3 and the double in memory pass the same tests.
import { S3_ERRORS, type S3Fault } from '@sealdex/local-aws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  isDenial,
  isRefusal,
  isUnsupported,
  readAll,
  type Condition,
  type Store,
  type VersionSpot,
} from '../../src/store/store.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { openLocalS3 } from '../support/local-s3.ts';
import { MemoryBucket, STORE_FAULTS } from '../support/memory-store.ts';

type FaultName =
  | 'internal'
  | 'accessDenied'
  | 'noSuchBucket'
  | 'notImplemented'
  | 'conflict'
  | 'hang'
  | 'ignoreConditions';

/** A bucket and the ways to change it. */
interface Setup extends AsyncDisposable {
  keepVersions(): void;
  fault(name: FaultName, prefix: string): { clear(): void; readonly waiting: number };
  clearFaults(): void;
  connect(): Store;
  /** A client that waits at most a second for a response. */
  connectPrompt(): Store;
}

async function memorySetup(): Promise<Setup> {
  const bucket = new MemoryBucket();
  const faultOf = (name: FaultName) =>
    name === 'hang' || name === 'ignoreConditions' || name === 'conflict' ? { kind: name } : STORE_FAULTS[name];
  return {
    keepVersions: () => bucket.keepVersions(),
    fault: (name, prefix) => bucket.faults.set({ match: { prefix }, fault: faultOf(name) }),
    clearFaults: () => bucket.faults.clear(),
    connect: () => bucket.connect(),
    connectPrompt: () => bucket.connect({ deadlineMs: 100 }),
    [Symbol.asyncDispose]: async () => {},
  };
}

async function adapterSetup(): Promise<Setup> {
  const local = await openLocalS3();
  const { s3, bucket } = local;
  const faultOf = (name: FaultName): S3Fault => {
    if (name === 'hang' || name === 'ignoreConditions') return { kind: name };
    return name === 'notImplemented' ? { kind: 'error', status: 501, code: 'NotImplemented' } : S3_ERRORS[name];
  };
  return {
    keepVersions: () => s3.keepVersions(bucket),
    fault: (name, prefix) => s3.faults.set({ match: { prefix }, fault: faultOf(name) }),
    clearFaults: () => s3.faults.clear(),
    connect: () => local.connect(),
    connectPrompt: () => local.connect('prompt'),
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  };
}

const BODY = Buffer.from('body');

describe.each([
  ['the adapter over the local S3', adapterSetup],
  ['the double in memory', memorySetup],
])('%s', (_, open) => {
  let setup: Setup;
  let store: Store;

  beforeAll(async () => {
    setup = await open();
    store = setup.connect();
  });

  afterEach(() => setup.clearFaults());

  afterAll(async () => {
    store.close();
    await setup[Symbol.asyncDispose]();
  });

  const etagOf = async (key: string, body: Buffer): Promise<string> => {
    const answer = await store.put(key, body, {});
    return answer.kind === 'written' ? answer.etag : answer.kind;
  };
  const errorOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => 'no error',
      (error: unknown) => error,
    );

  test('returns an object with its bytes, metadata and etag to every client', async () => {
    const metadata = { revision: '1', 'job-id': 'j1' };
    const written = await store.put('whole/a', BODY, { metadata });
    const facts = { metadata, bytes: BODY.length, etag: written.kind === 'written' ? written.etag : '' };
    const other = setup.connect();
    const stored = await other.get('whole/a');
    expect(stored).toMatchObject(facts);
    expect(stored && (await readAll(stored))).toEqual(BODY);
    expect(await other.head('whole/a')).toEqual(facts);
    other.close();
  });

  test('keeps a separate copy of written bytes', async () => {
    const body = Buffer.from(BODY);
    await store.put('copy/a', body, {});
    body.fill(0);
    expect(await readAll((await store.get('copy/a'))!)).toEqual(BODY);
  });

  test('returns an empty object, and undefined for a missing one', async () => {
    await store.put('empty/a', Buffer.alloc(0), {});
    expect(await readAll((await store.get('empty/a'))!)).toHaveLength(0);
    expect([await store.get('empty/b'), await store.head('empty/b')]).toEqual([undefined, undefined]);
  });

  test('writes a streamed body', async () => {
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('bo');
      yield Buffer.from('dy');
    }
    expect(await store.put('streamed/a', { bytes: 4, source: source() }, {})).toMatchObject({ kind: 'written' });
    expect(await readAll((await store.get('streamed/a'))!)).toEqual(BODY);
  });

  test('throws the error of the source of a streamed body, and writes nothing', async () => {
    const thrown = new Error('the source failed');
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('bo');
      throw thrown;
    }
    expect(await errorOf(store.put('streamed/b', { bytes: 4, source: source() }, {}))).toBe(thrown);
    expect(await store.head('streamed/b')).toBeUndefined();
  });

  test('writes only if the condition holds', async () => {
    const put = (condition: Condition) => store.put('condition/a', BODY, { condition });
    expect(await put({ etag: '"0"' })).toEqual({ kind: 'missing' });
    const first = await put({ absent: true });
    expect(await put({ absent: true })).toEqual({ kind: 'exists' });
    expect(await put({ etag: '"0"' })).toEqual({ kind: 'exists' });
    expect(await put({ etag: first.kind === 'written' ? first.etag : '' })).toMatchObject({ kind: 'written' });
  });

  test('allows exactly one of many writers to create an object', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_each, n) =>
        store.put('race/a', Buffer.from(String(n)), { condition: { absent: true } }),
      ),
    );
    expect(answers.filter(({ kind }) => kind === 'written')).toHaveLength(1);
  });

  test('returns another etag for other bytes', async () => {
    expect(await etagOf('etag/a', BODY)).not.toBe(await etagOf('etag/a', Buffer.from('other')));
  });

  test('removes only if the condition holds', async () => {
    const etag = await etagOf('removed/a', BODY);
    expect(await store.remove('removed/a', { etag: '"0"' })).toBe('changed');
    expect((await store.head('removed/a'))?.etag).toBe(etag);
    expect(await store.remove('removed/a', { etag })).toBe('removed');
    expect(await store.head('removed/a')).toBeUndefined();
    expect(await store.remove('removed/a', { etag })).toBe('changed');
    expect(await store.remove('removed/a')).toBe('removed');
  });

  test('returns a conflict for a write parallel to another one, and writes nothing', async () => {
    setup.fault('conflict', 'conflict/');
    expect(await store.put('conflict/a', BODY, { condition: { absent: true } })).toEqual({ kind: 'conflict' });
    setup.clearFaults();
    expect(await store.head('conflict/a')).toBeUndefined();
  });

  test('ignores conditions if configured so', async () => {
    await store.put('ignored/a', BODY, {});
    setup.fault('ignoreConditions', 'ignored/');
    expect(await store.put('ignored/a', BODY, { condition: { absent: true } })).toMatchObject({ kind: 'written' });
  });

  test('lists page by page in key order', async () => {
    const keys = Array.from({ length: 7 }, (_each, n) => `listed/a/${n}`);
    await Promise.all([...keys, 'listed/b/0'].map((key) => store.put(key, BODY, {})));
    const first = await store.list('listed/a/', { limit: 5 });
    expect(first.objects.map(({ key, bytes }) => [key, bytes])).toEqual(keys.slice(0, 5).map((key) => [key, 4]));
    expect(first.next).toBe(keys[4]);
    const second = await store.list('listed/a/', { limit: 5, after: keys[4]! });
    expect(second.objects.map(({ key }) => key)).toEqual(keys.slice(5));
    expect(second).not.toHaveProperty('next');
    expect(await store.list('listed/none/')).toEqual({ objects: [] });
  });

  test('lists keys in one order across pages, upper case before lower case', async () => {
    const names = ['10', '9', 'A', 'B_', 'Z', '_', 'a', 'a-', 'b', 'z'];
    await Promise.all(names.map((name) => store.put(`ordered/${name}/0`, BODY, {})));
    const keys: string[] = [];
    const folders: string[] = [];
    for (const [into, list] of [
      [keys, async (after: object) => store.list('ordered/', { limit: 3, ...after })],
      [folders, async (after: object) => store.listFolders('ordered/', { limit: 3, ...after })],
    ] as const) {
      let after: string | undefined;
      do {
        const page = await list(after === undefined ? {} : { after });
        into.push(...('objects' in page ? page.objects.map(({ key }) => key) : page.folders));
        after = page.next;
      } while (after !== undefined);
    }
    const ordered = names.map((name) => `${name}/`).toSorted();
    expect(folders).toEqual(ordered.map((name) => name.slice(0, -1)));
    expect(keys).toEqual(ordered.map((name) => `ordered/${name}0`));
  });

  test('lists the folders below a prefix page by page, each once, past the objects beside them', async () => {
    const folders = ['a', 'a-b', 'ab', 'b', 'c'];
    const keys = folders.flatMap((name) => [`folders/x/${name}/0`, `folders/x/${name}/1`, `folders/x/${name}/y/2`]);
    const others = ['folders/x/a0', 'folders/x/bb', 'folders/x/bc', 'folders/x/bd', 'folders/y/z/0'];
    await Promise.all([...keys, ...others].map((key) => store.put(key, BODY, {})));
    const found: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.listFolders('folders/x/', { limit: 2, ...(after === undefined ? {} : { after }) });
      expect(page.folders.length).toBeLessThanOrEqual(2);
      found.push(...page.folders);
      after = page.next;
    } while (after !== undefined);
    expect(found).toEqual(['a-b', 'a', 'ab', 'b', 'c']);
    expect((await store.listFolders('folders/x/')).folders).toEqual(found);
    expect(await store.listFolders('folders/none/')).toEqual({ folders: [] });
  });

  test('completes tryPut without writing', async () => {
    expect(await store.tryPut('tried/a')).toBe('allowed');
    expect(await store.head('tried/a')).toBeUndefined();
  });

  const REFUSALS = [
    ['accessDenied', { refusal: true, denial: true, unsupported: false }],
    ['noSuchBucket', { refusal: true, denial: false, unsupported: false }],
    ['notImplemented', { refusal: false, denial: false, unsupported: true }],
    ['internal', { refusal: false, denial: false, unsupported: false }],
  ] as const;

  test.each(REFUSALS)('throws STORE_FAILED of the right kind: %s', async (name, kinds) => {
    setup.fault(name, `${name}/`);
    const own = setup.connect();
    const error = await errorOf(own.get(`${name}/a`));
    own.close();
    expect(error).toMatchObject({ code: 'STORE_FAILED' });
    expect({ refusal: isRefusal(error), denial: isDenial(error), unsupported: isUnsupported(error) }).toEqual(kinds);
  });

  test("ends at the caller's signal with its reason", async () => {
    const hang = setup.fault('hang', 'aborted/');
    const controller = new AbortController();
    const reason = new Error('the job has to end');
    const call = errorOf(store.put('aborted/a', BODY, { signal: controller.signal }));
    await eventually(() => hang.waiting === 1);
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(await errorOf(store.head('aborted/a', { signal: controller.signal }))).toBe(reason);
  });

  test('ends in time without a response', async () => {
    using _real = realDeadlines();
    setup.fault('hang', 'late/');
    const prompt = setup.connectPrompt();
    expect(await errorOf(prompt.get('late/a'))).toMatchObject({ code: 'STORE_FAILED', reason: 'TimeoutError' });
    prompt.close();
  });

  test('rejects requests after close()', async () => {
    const own = setup.connect();
    own.close();
    expect(await errorOf(own.get('closed/a'))).toMatchObject({ code: 'STORE_FAILED', reason: 'Closed' });
  });

  test('lists the objects of a bucket without versions as such, and removes them', async () => {
    await store.put('plain/a', BODY, {});
    const { versions } = await store.listVersions('plain/');
    expect(versions).toEqual([{ key: 'plain/a', versionId: 'null', isCurrent: true }]);
    await store.removeVersion(versions[0]!);
    await store.removeVersion(versions[0]!);
    expect(await store.head('plain/a')).toBeUndefined();
    expect(await store.listUploads('plain/')).toEqual({ uploads: [] });
  });

  describe('with versions', () => {
    beforeAll(() => setup.keepVersions());

    test('keeps replaced and removed versions until they are removed', async () => {
      await store.put('kept/a', Buffer.from('one'), {});
      await store.put('kept/a', Buffer.from('two'), {});
      await store.remove('kept/a');
      expect(await store.head('kept/a')).toBeUndefined();
      expect((await store.list('kept/')).objects).toEqual([]);
      const { versions } = await store.listVersions('kept/');
      expect(versions.map(({ isCurrent }) => isCurrent)).toEqual([false, false, false]);
      // Delete markers are listed behind the versions of a page.
      await store.removeVersion(versions.at(-1)!);
      expect((await readAll((await store.get('kept/a'))!)).toString()).toBe('two');
      await store.removeVersion(versions[0]!);
      expect((await readAll((await store.get('kept/a'))!)).toString()).toBe('one');
      await store.removeVersion(versions[1]!);
      expect((await store.listVersions('kept/')).versions).toEqual([]);
    });

    test('lists versions in pages, each once', async () => {
      const puts = Array.from({ length: 1010 }, (_each, n) => n % 505);
      for (let at = 0; at < puts.length; at += 101)
        await Promise.all(puts.slice(at, at + 101).map((n) => store.put(`paged/${n}`, BODY, {})));
      const seen: string[] = [];
      let after: VersionSpot | undefined;
      do {
        const page = await store.listVersions('paged/', { after });
        seen.push(...page.versions.map(({ key, versionId }) => `${key} ${versionId}`));
        after = page.next;
      } while (after !== undefined);
      expect([seen.length, new Set(seen).size]).toEqual([1010, 1010]);
    });
  });
});
