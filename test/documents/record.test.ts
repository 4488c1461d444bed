import { describe, expect, it, test } from 'vitest';
import * as fc from 'fast-check';
import { SealdexError } from '../../src/runtime/errors.ts';
import { readRecord, type RecordItem, writeRecord } from '../../src/documents/record.ts';
import { type IndexDocument, parseDocument, type StructuredDocument } from '../../src/documents/shapes.ts';
import { inPieces, parsedLines, PLACE, read, write } from './records.ts';
import { anyCore, anyStructured, core, image, runs, structured, table, WIDE } from './samples.ts';

describe('the record', () => {
  it('for a core document contains all of it', async () => {
    const lines = parsedLines(await write(core));
    expect(lines).toStrictEqual([
      { v: 1, ...PLACE, id: 'doc-2', type: 'core', metadata: { kind: 'note' }, parts: 2, tables: 1, images: 1 },
      core.document_parts[0],
      { ...core.document_parts[1], metadata: {} },
      { table },
      { image },
    ]);
  });

  it('for a structured document has its fields in the head, then parts, tables and images', async () => {
    const [head, ...lines] = parsedLines(await write(structured));
    const { title, description, metadata, custom_dimensions } = structured;
    expect(head).toStrictEqual({
      v: 1,
      ...PLACE,
      id: 'doc-1',
      type: 'structured',
      title,
      description,
      metadata,
      custom_dimensions,
      parts: 4,
      tables: 2,
      images: 1,
    });
    expect(lines.slice(4)).toStrictEqual([{ table }, { table }, { image }]);
  });

  it('has a head in the order of the format, one LF after each line, and no other LF', async () => {
    const text = (await write({ ...core, document_parts: [{ text: 'a\nb\r\u2028c' }] })).toString();
    expect(
      text.startsWith('{"v":1,"tenant":"acme","corpus":"news","id":"doc-2","revision":1764000000000000,"type":"core"'),
    ).toBe(true);
    expect(text.split('\n')).toHaveLength(5);
    expect(text.endsWith('\n')).toBe(true);
  });
});

describe('write and read', () => {
  const rejoined = (items: RecordItem[]): string => items.map((item) => ('text' in item ? item.text : '')).join('');
  const textsIn = (document: IndexDocument): string => {
    const inSections = (sections: StructuredDocument['sections']): string =>
      sections.map(({ title = '', text = '', sections = [] }) => title + text + inSections(sections)).join('');
    return document.type === 'core'
      ? document.document_parts.map((part) => part.text).join('')
      : inSections(document.sections);
  };
  const bare = (text: string): string => text.replaceAll(/\s/g, '');

  it('return any document, with all its texts in order, and the same byte by byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyStructured, anyCore), async (value) => {
        const document = parseDocument(value, WIDE);
        const record = await writeRecord({ ...PLACE, document }, WIDE);
        const { head, items } = await read(record);
        expect(await read(record, 1)).toStrictEqual({ head, items });
        expect(head).toMatchObject({
          ...PLACE,
          id: document.id,
          type: document.type,
          metadata: document.metadata ?? {},
        });
        expect(items).toHaveLength(head.parts + head.tables + head.images);
        expect(bare(rejoined(items))).toBe(bare(textsIn(document)));
      }),
      runs(150),
    );
  });

  it('take from the source only the bytes of the head, if sufficient', async () => {
    const record = await write({ ...core, document_parts: Array.from({ length: 1000 }, () => core.document_parts[0]) });
    let taken = 0;
    let isEnded = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for await (const piece of inPieces(record, 16)) {
          taken += piece.length;
          yield piece;
        }
      } finally {
        isEnded = true;
      }
    }
    const reading = await readRecord(source());
    expect(taken).toBeLessThan(record.indexOf(10) + 17);
    await reading.close();
    await reading.close();
    expect({ isEnded, items: await Array.fromAsync(reading.parts) }).toStrictEqual({ isEnded: true, items: [] });
  });

  it('close the source when the reader leaves early, or is disposed', async () => {
    const record = await write(core);
    let ended = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* inPieces(record, 100);
      } finally {
        ended += 1;
      }
    }
    for await (const item of (await readRecord(source())).parts) {
      expect(item).toHaveProperty('text', 'One.');
      break;
    }
    {
      await using reading = await readRecord(source());
      expect(reading.head.id).toBe('doc-2');
    }
    expect(ended).toBe(2);
  });

  it('pass on the errors of the source', async () => {
    const broken = new SealdexError('OBJECT_TAMPERED');
    const record = await write(core);
    async function* source(size: number): AsyncGenerator<Uint8Array> {
      yield record.subarray(0, size);
      throw broken;
    }
    await expect(readRecord(source(10))).rejects.toBe(broken);
    const { parts } = await readRecord(source(record.length - 10));
    await expect(Array.fromAsync(parts)).rejects.toBe(broken);
  });
});

describe('an invalid record is OBJECT_UNREADABLE:', () => {
  const HEAD =
    '{"v":1,"tenant":"t","corpus":"c","id":"SECRET","revision":1,"type":"core","metadata":{},"parts":1,"tables":1,"images":1}\n';
  const PART = '{"text":"SECRET","metadata":{}}\n';
  const REST = '{"table":{}}\n{"image":{}}\n';

  it('unlike this valid one', async () => {
    expect((await read(Buffer.from(HEAD + PART + REST))).items).toHaveLength(3);
  });

  test.each([
    ['nothing', ''],
    ['a head without LF', HEAD.trim()],
    ['a head without JSON', `SECRET\n${PART}${REST}`],
    ['a head given as a list', `[1]\n${PART}${REST}`],
    ['a head of another version', HEAD.replace('"v":1', '"v":0') + PART + REST],
    ['a head without tenant', HEAD.replace('"tenant":"t",', '') + PART + REST],
    ['a head of another type', HEAD.replace('"core"', '"SECRET"') + PART + REST],
    ['a head with a negative count', HEAD.replace('"parts":1', '"parts":-1') + PART + REST],
    ['too few lines', HEAD + PART + '{"table":{}}\n'],
    ['too many lines', HEAD + PART + REST + PART],
    ['an empty line at the end', `${HEAD}${PART}${REST}\n`],
    ['text after the last line', `${HEAD}${PART}${REST}SECRET`],
    ['a last line without LF', (HEAD + PART + REST).trimEnd()],
    ['lines in another order', `${HEAD}{"table":{}}\n${PART}{"image":{}}\n`],
    ['a part without metadata', `${HEAD}{"text":"SECRET"}\n${REST}`],
    ['a part without JSON', `${HEAD}{"text":"SECRET\n${REST}`],
    ['a table given as text', `${HEAD}${PART}{"table":"SECRET"}\n{"image":{}}\n`],
    ['a line with null', `${HEAD}null\n${REST}`],
  ])('%s', async (_, text) => {
    const error: unknown = await read(Buffer.from(text), 7).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'OBJECT_UNREADABLE', reason: 'record' });
    expect((error as Error).cause).toBeUndefined();
    expect((error as Error).stack).not.toContain('SECRET');
  });

  it('a newer one, with a message that names the newer release', async () => {
    const newer = `${HEAD.replace('"v":1', '"v":2,"more":[]')}{"line":"of another shape"}\n`;
    await expect(read(Buffer.from(newer))).rejects.toMatchObject({
      code: 'OBJECT_UNREADABLE',
      reason: 'Newer',
      message: 'The record was written by a newer release of sealdex. Upgrade this process.',
    });
  });

  it('invalid UTF-8', async () => {
    const bytes = Buffer.from(HEAD + PART + REST);
    bytes[HEAD.length + 10] = 0xff;
    await expect(read(bytes)).rejects.toMatchObject({ code: 'OBJECT_UNREADABLE' });
  });

  it('any record with one line left out or doubled', async () => {
    const record = (await write(structured)).toString();
    const lines = record.split(/(?<=\n)/);
    for (const [n, line] of lines.entries()) {
      await expect(read(Buffer.from(lines.toSpliced(n, 1).join('')))).rejects.toMatchObject({
        code: 'OBJECT_UNREADABLE',
      });
      await expect(read(Buffer.from(lines.toSpliced(n, 0, line).join('')))).rejects.toMatchObject({
        code: 'OBJECT_UNREADABLE',
      });
    }
  });
});

describe('the record of a file', () => {
  it('describes the file, and has its sections as parts', async () => {
    const source = { filename: 'a.txt', contentType: 'text/plain', bytes: 12 };
    const document = {
      type: 'file' as const,
      id: 'a.txt',
      title: 'A title',
      metadata: { pages: 1 },
      chunking_strategy: { type: 'max_chars_chunking_strategy' as const, max_chars_per_chunk: 100 },
      source,
      sections: [{ title: 'One', text: 'First. Second.' }],
    };
    const bytes = await writeRecord({ ...PLACE, document }, WIDE);
    const { head, items } = await read(bytes);
    const described = { type: 'file', id: 'a.txt', title: 'A title', metadata: { pages: 1 }, source };
    expect(head).toStrictEqual({ v: 1, ...PLACE, ...described, parts: 2, tables: 0, images: 0 });
    expect(items.map((item) => 'text' in item && item.text)).toEqual(['One', 'First. Second.']);
  });
});
