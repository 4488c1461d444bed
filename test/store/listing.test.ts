// The pages of a corpus: in order, each document once, without those of other corpora.
import { expect, it } from 'vitest';
import { objectName } from '../../src/runtime/names.ts';
import { listDocuments } from '../../src/store/documents.ts';
import { MemoryBucket } from '../support/memory-store.ts';

it('a corpus is listed in pages by object name, without other corpora', async () => {
  const store = new MemoryBucket().connect();
  const objects = Array.from({ length: 7 }, (_, n) => objectName(`document ${n}`)).sort();
  const neighbors = [`documents/t/c2/${objects[0]}`, `documents/t2/c/${objects[0]}`, `intake/t/c/${objects[0]}`];
  const keys = [...objects.map((object) => `documents/t/c/${object}`), ...neighbors];
  await Promise.all(keys.map((key) => store.put(key, Buffer.from('message'), {})));
  const corpus = { tenant: 't', corpus: 'c', limit: 4 };
  const first = await listDocuments(store, corpus);
  expect(first.objects.map(({ object, bytes }) => [object, bytes])).toEqual(
    objects.slice(0, 4).map((object) => [object, 7]),
  );
  expect(first.next).toBe(objects[3]);
  const second = await listDocuments(store, { ...corpus, after: first.next ?? '' });
  expect(second.objects.map(({ object }) => object)).toEqual(objects.slice(4));
  expect(second).not.toHaveProperty('next');
  expect(await listDocuments(store, { ...corpus, corpus: 'none' })).toEqual({ objects: [] });
  store.close();
});
