// The S3 emulator's versions and unfinished uploads, as the S3 client sees them.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/runtime/config.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { awsServices, type AwsServices } from '../support/aws-services.ts';

const opened = new AsyncDisposableStack();
let services: AwsServices;
let store: Store;
let prefix = '';
let count = 0;

beforeAll(async () => {
  services = opened.use(await awsServices());
  services.s3.keepVersions(String(services.settings.SEALDEX_BUCKET));
  store = opened.adopt(createStore(loadConfig(services.settings, {}), 'patient'), (made) => made.close());
});
afterAll(() => opened.disposeAsync());
beforeEach(() => {
  prefix = `test-${(count += 1)}/`;
});

const put = (name: string, text: string): Promise<unknown> => store.put(`${prefix}${name}`, Buffer.from(text), {});
const textAt = async (name: string): Promise<string | undefined> => {
  const stored = await store.get(`${prefix}${name}`);
  return stored && (await readAll(stored)).toString();
};

test('a replaced or deleted object stays as a version, and returns when newer ones are removed', async () => {
  await put('a', 'one');
  await put('a', 'two');
  await store.remove(`${prefix}a`);
  expect(await textAt('a')).toBeUndefined();
  const { versions } = await store.listVersions(prefix);
  expect(versions.map(({ isCurrent }) => isCurrent)).toEqual([false, false, false]);
  expect(new Set(versions.map(({ versionId }) => versionId)).size).toBe(3);
  // Markers are listed behind the versions of a page.
  await store.removeVersion(versions.at(-1)!);
  expect(await textAt('a')).toBe('two');
  await store.removeVersion(versions[0]!);
  expect(await textAt('a')).toBe('one');
  await store.removeVersion(versions[1]!);
  await store.removeVersion(versions[1]!);
  expect((await store.listVersions(prefix)).versions).toEqual([]);
});

test('versions are returned in pages, each once', async () => {
  for (let at = 0; at < 1100; at += 50)
    await Promise.all(Array.from({ length: 50 }, (_, more) => put(`${(at + more) % 550}`, 'x')));
  const keys: string[] = [];
  let after: Awaited<ReturnType<Store['listVersions']>>['next'];
  do {
    const page = await store.listVersions(prefix, { after });
    keys.push(...page.versions.map(({ key, versionId }) => `${key} ${versionId}`));
    after = page.next;
  } while (after !== undefined);
  expect([keys.length, new Set(keys).size]).toEqual([1100, 1100]);
});

test('a bucket without versions lists its objects as such, and removes them', async () => {
  await using other = await awsServices();
  const plain = createStore(loadConfig(other.settings, {}), 'patient');
  await plain.put('a/b', Buffer.from('text'), {});
  const { versions } = await plain.listVersions('a/');
  expect(versions).toEqual([{ key: 'a/b', versionId: 'null', isCurrent: true }]);
  await plain.removeVersion(versions[0]!);
  expect((await plain.list('')).objects).toEqual([]);
  plain.close();
});
