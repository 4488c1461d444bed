// The head line of a stored file.
import { expect, test } from 'vitest';
import { originalBytes, readOriginal, type OriginalHead } from '../../src/documents/original.ts';

const HEAD: OriginalHead = {
  v: 1,
  tenant: 'acme',
  corpus: 'docs',
  id: 'one',
  revision: 1,
  filename: 'one.txt',
  contentType: 'text/plain',
  bytes: 3,
};

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const read = (head: object): ReturnType<typeof readOriginal> =>
  readOriginal(chunksOf(originalBytes(head as OriginalHead, Buffer.from('abc'))));

test('a stored file with one more field in its head is read', async () => {
  await using original = await read({ ...HEAD, more: 1 });
  expect(Buffer.concat(await Array.fromAsync(original.body)).toString()).toBe('abc');
});

test.each([
  [{ ...HEAD, v: 0 }, 'original', 'The object is not a stored file.'],
  [{ v: 2 }, 'Newer', 'The stored file was written by a newer release of sealdex. Upgrade this process.'],
])('a stored file with the head %o is OBJECT_UNREADABLE with the reason %s', async (head, reason, message) => {
  await expect(read(head)).rejects.toMatchObject({ code: 'OBJECT_UNREADABLE', reason, message });
});
