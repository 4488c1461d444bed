// Conclusions of the demo from stored records.
import { describe, expect, test } from 'vitest';
import type { Bucket } from '../../src/demo/bucket.ts';
import { requestOf } from '../../src/demo/documents.ts';
import { checkOfficialDecrypt, isAllReadBack } from '../../src/demo/read-back.ts';
import type { DemoServices } from '../../src/demo/stage.ts';
import { SealdexError, type Reader } from '../../src/index.ts';

const { signal } = new AbortController();
const REQUEST = requestOf('acme', 'docs', { path: 'a.txt', text: 'First line.\nSecond line.' }, 'mark');

/** Stores one document with these texts. */
function readerOf(...texts: string[]): Reader {
  const open = async ({ id }: { id: string }) => {
    if (id !== REQUEST.document.id) throw new SealdexError('NOT_FOUND');
    const items = texts.map((text) => ({ text }));
    return {
      document: { id },
      parts: (async function* () {
        yield* items;
      })(),
    };
  };
  return { open } as unknown as Reader;
}

describe('documents are read back', () => {
  test.each([
    ['if their parts are the text', ['First line.', ' Second', ' line.'], true],
    ['not if a part is missing', ['First line.'], false],
    ['not if a part differs', ['First line.', 'Second lime.'], false],
  ])('%s', async (_, texts, expected) => {
    expect(await isAllReadBack({ reader: readerOf(...texts), signal }, [REQUEST])).toBe(expected);
  });

  test('not if one of them is missing', async () => {
    const other = requestOf('acme', 'docs', { path: 'b.txt', text: 'text' }, 'mark');
    expect(await isAllReadBack({ reader: readerOf('First line.\nSecond line.'), signal }, [REQUEST, other])).toBe(
      false,
    );
  });
});

describe('the official decrypt', () => {
  const check = (body: Buffer | undefined, load?: Parameters<typeof checkOfficialDecrypt>[3]) => {
    const bucket = { get: async () => body && { headers: {}, body } } as unknown as Bucket;
    const services = { kms: { endpoint: 'http://127.0.0.1:9', region: 'us-west-2' } } as DemoServices;
    return checkOfficialDecrypt({ reader: readerOf('text'), signal, bucket, services }, REQUEST, 'arn', load);
  };
  const notInstalled = () => Promise.reject(Object.assign(new Error('no package'), { code: 'ERR_MODULE_NOT_FOUND' }));

  test('is null if the AWS Encryption SDK is not installed', async () => {
    expect(await check(Buffer.from('message'), notInstalled as never)).toBeNull();
  });

  test.each([
    ['the object is missing', undefined],
    ['the object is not a message', Buffer.from('no message')],
  ])('is false if %s', async (_, body) => {
    expect(await check(body)).toBe(false);
  });
});
