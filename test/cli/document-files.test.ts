// Documents in a file: the accepted formats, rejected lines, and files that change or break while they are read.
import { createWriteStream, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { checkFiles, documentsIn, type ParsedDocument } from '../../src/cli/document-files.ts';
import { FileReadError, UsageError } from '../../src/cli/failure.ts';
import { linesOf, type Line } from '../../src/cli/line-reader.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const DOCUMENT_BYTES = 1024;
let files = 0;

function fileOf(...parts: (string | Uint8Array)[]): string {
  const path = join(folder.path, `file-${files++}`);
  writeFileSync(path, Buffer.concat(parts.map((part) => Buffer.from(part))));
  return path;
}

async function read(file: string, signal = new AbortController().signal): Promise<ParsedDocument[]> {
  const found: ParsedDocument[] = [];
  for await (const each of documentsIn(file, DOCUMENT_BYTES, signal)) found.push(each);
  return found;
}

/** Line and document, or line and error. */
const parsed = async (...parts: (string | Uint8Array)[]): Promise<[number, unknown][]> =>
  (await read(fileOf(...parts))).map(({ line, document, fault }) => [line, fault ?? document]);

const BOM = '\uFEFF';

describe('the beginning of a file decides how it is parsed:', () => {
  test.each<[string, string, [number, unknown][]]>([
    ['one document on a line', '{"a":1}', [[1, { a: 1 }]]],
    ['one document over several lines', '{\n "a":\n 1}\n', [[1, { a: 1 }]]],
    ['one document after empty lines', '\n \n{\n"a":1}', [[3, { a: 1 }]]],
    [
      'an array on a line',
      '[{"a":1},2]',
      [
        [1, { a: 1 }],
        [2, 2],
      ],
    ],
    [
      'an array over several lines',
      ' [\n{"a":1},\n{"b":2}\n]\n',
      [
        [1, { a: 1 }],
        [2, { b: 2 }],
      ],
    ],
    [
      'NDJSON',
      '{"a":1}\n{"b":2}\n',
      [
        [1, { a: 1 }],
        [2, { b: 2 }],
      ],
    ],
    [
      'NDJSON without a last line end',
      '{"a":1}\n{"b":2}',
      [
        [1, { a: 1 }],
        [2, { b: 2 }],
      ],
    ],
    [
      'NDJSON with empty lines, which count',
      '\n{"a":1}\n\n \t\n{"b":2}\n\n',
      [
        [2, { a: 1 }],
        [5, { b: 2 }],
      ],
    ],
    [
      'NDJSON with CRLF',
      '{"a":1}\r\n{"b":2}\r\n',
      [
        [1, { a: 1 }],
        [2, { b: 2 }],
      ],
    ],
    ['a document with CRLF', '{\r\n"a":1\r\n}\r\n', [[1, { a: 1 }]]],
    [
      'NDJSON after a byte order mark',
      `${BOM}{"a":1}\n{"b":2}`,
      [
        [1, { a: 1 }],
        [2, { b: 2 }],
      ],
    ],
    ['an array after a byte order mark', `${BOM}[1]`, [[1, 1]]],
    [
      'values other than documents, which a later check rejects',
      'null\n0\n"text"\ntrue',
      [
        [1, null],
        [2, 0],
        [3, 'text'],
        [4, true],
      ],
    ],
    ['a document with a key given twice', '{"a":1,\n"a":2}', [[1, 'has the same key twice; remove one']]],
    [
      'NDJSON with a key given twice in one document',
      '{"b":1}\n{"sections":1,"sections":2}',
      [
        [1, { b: 1 }],
        [2, 'is given twice; remove one'],
      ],
    ],
    [
      'an array with a key given twice in one document',
      '[{"b":1},{"metadata":{"x":1,"x":2}}]',
      [
        [1, { b: 1 }],
        [2, 'has the same key twice; remove one'],
      ],
    ],
    ['nothing', '', [[1, 'is empty']]],
    ['white space', ' \n\t\r\n', [[1, 'is empty']]],
    ['an empty array', '[ ]', [[1, 'is an empty array']]],
  ])('%s', async (_, text, found) => {
    expect(await parsed(text)).toEqual(found);
  });
});

describe('a format error has a line number and quotes no content:', () => {
  test('a bad line of NDJSON does not stop the others', async () => {
    const found = await parsed('{"a":1}\n{secret}\n{"b":2}\n[secret\n{"c":3}');
    expect(found.map(([line]) => line)).toEqual([1, 2, 3, 4, 5]);
    expect(found[1]?.[1]).toMatch(/^is not valid JSON( \(at column \d+\))?$/);
    expect(found[3]?.[1]).toMatch(/^is not valid JSON( \(at column \d+\))?$/);
    expect(JSON.stringify(found)).not.toContain('secret');
  });

  test('a document with an error in its third line', async () => {
    expect(await parsed('{\n"a":1\n"b":"secret"\n}')).toEqual([[3, 'is not valid JSON (at column 1)']]);
  });

  test('an array that breaks is rejected as a whole', async () => {
    const [[line, fault] = []] = await parsed('[\n{"a":1},\n{"b":2}\n');
    expect(line).toBe(3);
    expect(fault).toMatch(/^is not valid JSON/);
  });

  test('a broken first line is reported with advice for NDJSON', async () => {
    const found = await parsed('{"a":\u0001}\n{"b":2}\n');
    expect(found).toHaveLength(1);
    expect(found[0]?.[1]).toMatch(
      /^is not valid JSON.*; if this is NDJSON, the first line must be a complete document$/,
    );
  });

  const NO_UTF8: [string, Uint8Array][] = [
    ['a byte that begins nothing', Uint8Array.of(0xff)],
    ['a truncated character', Uint8Array.of(0xe6, 0xbc)],
    ['an encoded surrogate', Uint8Array.of(0xed, 0xa0, 0x80)],
    ['an overlong form', Uint8Array.of(0xc0, 0xaf)],
    ['Latin-1', Buffer.from('é', 'latin1')],
  ];

  test.each(NO_UTF8)('%s is rejected in NDJSON, never replaced', async (_, bytes) => {
    expect(await parsed('{"a":1}\n{"b":"', bytes, '"}\n{"c":3}\n')).toEqual([
      [1, { a: 1 }],
      [2, 'is not valid UTF-8'],
      [3, { c: 3 }],
    ]);
  });

  test.each(NO_UTF8)('%s is rejected in a document of several lines', async (_, bytes) => {
    expect(await parsed('\n{\n"b":"', bytes, '"}')).toEqual([[3, 'is not valid UTF-8']]);
    expect(await parsed('[{},\n"', bytes, '"]')).toEqual([[2, 'is not valid UTF-8']]);
    expect(await parsed('{"b":"', bytes, '"}')).toEqual([[1, 'is not valid UTF-8']]);
  });

  test('UTF-16 is rejected', async () => {
    expect(await parsed(Uint8Array.of(0xff, 0xfe), Buffer.from('{"a":1}', 'utf16le'))).toEqual([
      [1, 'is not valid UTF-8'],
    ]);
  });

  test('a line longer than the document limit is rejected, and the others are read', async () => {
    const long = JSON.stringify({ text: 'x'.repeat(DOCUMENT_BYTES) });
    expect(await parsed('{"a":1}\n', long, '\n{"b":2}\n', long)).toEqual([
      [1, { a: 1 }],
      [2, 'exceeds SEALDEX_DOCUMENT_BYTES'],
      [3, { b: 2 }],
      [4, 'exceeds SEALDEX_DOCUMENT_BYTES'],
    ]);
    expect(await parsed(long, '\n{"b":2}\n')).toEqual([
      [1, 'exceeds SEALDEX_DOCUMENT_BYTES'],
      [2, { b: 2 }],
    ]);
  });

  test('a character of several bytes at the limit is counted in bytes', async () => {
    const fits = JSON.stringify('é'.repeat((DOCUMENT_BYTES - 2) / 2));
    expect((await parsed(`1\n${fits}\n${fits.slice(0, -1)}é"`)).map(([, value]) => typeof value)).toEqual([
      'number',
      'string',
      'string',
    ]);
  });

  test('a hundred thousand levels of nesting are read as a value', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const found = await read(fileOf(`{"a":1}\n{"d":${deep}}\n{"b":2}`));
    expect(found.map(({ fault }) => fault)).toEqual([undefined, 'exceeds SEALDEX_DOCUMENT_BYTES', undefined]);
    expect((await read(fileOf(`{\n"d":${deep}}`))).map(({ fault }) => fault)).toEqual([undefined]);
  });
});

describe('lines', () => {
  async function* chunked(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
    for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  }

  test.each([1, 2, 3, 7, 1000])('are the same for chunks of %s bytes', async (size) => {
    const bytes = Buffer.concat([
      Buffer.from(`${BOM}é\r\n\n漢字🙂\nbad `),
      Buffer.of(0xff),
      Buffer.from(`\n${BOM}later marks stay\n${'long'.repeat(10)}\nlast`),
    ]);
    const lines: Line[] = [];
    for await (const line of linesOf(chunked(bytes, size), { bytes: 30 })) lines.push(line);
    expect(lines).toEqual([
      { number: 1, text: 'é\r' },
      { number: 2, text: '' },
      { number: 3, text: '漢字🙂' },
      { number: 4, text: '', fault: 'is not valid UTF-8' },
      { number: 5, text: `${BOM}later marks stay` },
      { number: 6, text: '', fault: 'exceeds SEALDEX_DOCUMENT_BYTES' },
      { number: 7, text: 'last' },
    ]);
  });

  test('without an end are not buffered beyond the limit', async () => {
    const held = (): number => {
      globalThis.gc?.();
      return process.memoryUsage().arrayBuffers;
    };
    const before = held();
    async function* endless(): AsyncGenerator<Buffer> {
      for (let given = 0; given < 256; given++) yield Buffer.alloc(1_048_576, 0x20);
      // The collector frees buffers in separate threads.
      await eventually(() => held() - before < 64 * 1_048_576);
    }
    const lines: Line[] = [];
    for await (const line of linesOf(endless(), { bytes: 1024 })) lines.push(line);
    expect(lines).toEqual([{ number: 1, text: '', fault: 'exceeds SEALDEX_DOCUMENT_BYTES' }]);
  });
});

describe('checkFiles', () => {
  const reasonOf = async (...names: string[]): Promise<unknown> =>
    checkFiles(names).then(
      () => undefined,
      (error: unknown) => error,
    );

  test('names a missing file', async () => {
    const missing = join(folder.path, 'missing.json');
    const error = await reasonOf(fileOf('1'), missing);
    expect(error).toBeInstanceOf(FileReadError);
    expect(error).toMatchObject({ message: `${missing}: file not found.` });
  });

  test('names a folder', async () => {
    const path = join(folder.path, 'folder');
    mkdirSync(path);
    expect(await reasonOf(path)).toMatchObject({ message: `${path}: is a directory; give files.` });
    await expect(read(path)).rejects.toThrow(`${path}: is a directory; give files.`);
  });

  test("reports the system's error code for a path through a file", async () => {
    const path = join(fileOf('1'), 'below');
    expect(await reasonOf(path)).toMatchObject({ message: `${path}: cannot read the file (ENOTDIR).` });
  });

  test('rejects standard input given twice', async () => {
    expect(await reasonOf('-', 'x', '-')).toBeInstanceOf(UsageError);
    expect(await reasonOf('-')).toBeUndefined();
  });
});

test('reading ends at the abort signal while no input arrives', async () => {
  const stdin = new PassThrough();
  const own = Object.getOwnPropertyDescriptor(process, 'stdin');
  Object.defineProperty(process, 'stdin', { configurable: true, value: stdin });
  try {
    const controller = new AbortController();
    const reading = read('-', controller.signal);
    stdin.write('{"a":1}\n');
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    expect(stdin.destroyed).toBe(true);
  } finally {
    if (own) Object.defineProperty(process, 'stdin', own);
  }
});

test('a consumer that stops early leaves no file open', async () => {
  const path = join(folder.path, 'long.ndjson');
  const file = createWriteStream(path);
  for (let line = 0; line < 100_000; line++) file.write('{"a":1}\n');
  file.end();
  await once(file, 'finish');
  for await (const { document } of documentsIn(path, DOCUMENT_BYTES, new AbortController().signal)) {
    expect(document).toEqual({ a: 1 });
    expect(openFiles()).toContain(path);
    break;
  }
  await eventually(() => !openFiles().includes(path));
});

/** Paths of this process's open files, from /proc. */
const openFiles = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
