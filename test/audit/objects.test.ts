// Objects from a stream: every form of document, split anywhere, and malformed ones.
import { describe, expect, test } from 'vitest';
import { objectsOf } from '../../src/audit/objects.ts';

/** In pieces of the given number of bytes. */
async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function objectsIn(text: string | Buffer, size = 7): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const each of objectsOf(pieces(Buffer.from(text), size))) found.push(JSON.parse(each));
  return found;
}

const ONE = { a: 'x"}]{[\\', b: [{ Records: [1] }, []], ä: '\u{1F511}' };
const TWO = { Events: 'none', c: { d: null } };
const BOTH = `${JSON.stringify(ONE)},${JSON.stringify(TWO)}`;

describe.each([1, 2, 7, 4096])('objects in pieces of %i bytes', (size) => {
  test.each([
    ['one per line', `${JSON.stringify(ONE)}\n${JSON.stringify(TWO)}\n`],
    ['without separators', JSON.stringify(ONE) + JSON.stringify(TWO)],
    ['pretty-printed', JSON.stringify({ Records: [ONE, TWO] }, null, 2)],
    ['a log file', `{"Records":[${BOTH}]}`],
    ['from lookup-events', `{"NextToken":"Records","Events":[${BOTH}],"more":[{"x":1}]}`],
    ['several log files', `{"Records":[${JSON.stringify(ONE)}]}\n{"Records":[]} {"Records":[${JSON.stringify(TWO)}]}`],
    ['an array', `[ ${BOTH} ]`],
  ])('are read from text: %s', async (_, text) => {
    expect(await objectsIn(text, size)).toEqual([ONE, TWO]);
  });

  test('empty text has no objects', async () => {
    expect(await objectsIn('', size)).toEqual([]);
    expect(await objectsIn(' \r\n', size)).toEqual([]);
    expect(await objectsIn('{"Records":[]}', size)).toEqual([]);
  });

  test.each([
    ['in an object', '{"Records":[{"a":1'],
    ['between two', '{"Records":[{"a":1},'],
    ['in a string', '{"a":"b'],
  ])('a document truncated %s is an error', async (_, text) => {
    await expect(objectsIn(text, size)).rejects.toThrow('ends in the middle: fetch it again');
  });

  test.each([
    'hello',
    '"text"',
    '["text"]',
    '[[{}]]',
    '{"Records":["text"]}',
    '{"Records":[1]}',
    '}',
    'eventVersion,eventTime',
  ])('other text is an error: %s', async (text) => {
    await expect(objectsIn(text, size)).rejects.toThrow('is not a CloudTrail file');
  });
});

test('a byte order mark is skipped', async () => {
  expect(await objectsIn(`\uFEFF{"Records":[${BOTH}]}`, 64)).toEqual([ONE, TWO]);
});

test('an endless object is an error before it fills the memory', async () => {
  const endless = Buffer.from(`{"a":"${'x'.repeat(5_000_000)}"}`);
  await expect(objectsIn(endless, 65_536)).rejects.toThrow('is not a CloudTrail file');
});
