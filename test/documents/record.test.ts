import { describe, expect, it, test } from 'vitest';
import * as fc from 'fast-check';
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/clock.ts';
import { SealdexError } from '../../src/errors.ts';
import {
  readRecord,
  type RecordHead,
  type RecordItem,
  recordBytesLimit,
  writeRecord,
} from '../../src/documents/record.ts';
import { type IndexDocument, parseDocument, type StructuredDocument } from '../../src/documents/shapes.ts';
import { FakeClock } from '../support/clock.ts';
import { anyCore, anyStructured, core, image, LIMITS, runs, structured, table, WIDE } from './samples.ts';

const PLACE = { tenant: 'acme', corpus: 'news', revision: 1_764_000_000_000_000 };

const write = (document: unknown, limits = WIDE): Promise<Buffer> =>
  writeRecord({ ...PLACE, document: parseDocument(document, limits) }, limits);

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, size = 65_536): Promise<{ head: RecordHead; items: RecordItem[] }> {
  const { head, parts } = await readRecord(inPieces(bytes, size));
  return { head, items: await Array.fromAsync(parts) };
}

const parsedLines = (bytes: Buffer): unknown[] =>
  bytes
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line));

const sectioned = (...sections: unknown[]): unknown => ({ type: 'structured', id: 'd', sections });

const partsOf = async (document: unknown): Promise<unknown[]> => {
  const [, ...lines] = parsedLines(await write(document));
  return lines.filter((line) => Object.hasOwn(line as object, 'text'));
};

describe('the record', () => {
  it('of a core document says what the document says, nothing dropped', async () => {
    const lines = parsedLines(await write(core));
    expect(lines).toStrictEqual([
      { v: 1, ...PLACE, id: 'doc-2', type: 'core', metadata: { kind: 'note' }, parts: 2, tables: 1, images: 1 },
      core.document_parts[0],
      { ...core.document_parts[1], metadata: {} },
      { table },
      { image },
    ]);
  });

  it('of a structured document has its fields in the head, then parts, tables and images', async () => {
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

  it('has a head in the order of the format, one LF after each line, and no LF within', async () => {
    const text = (await write({ ...core, document_parts: [{ text: 'a\nb\r\u2028c' }] })).toString();
    expect(
      text.startsWith('{"v":1,"tenant":"acme","corpus":"news","id":"doc-2","revision":1764000000000000,"type":"core"'),
    ).toBe(true);
    expect(text.split('\n')).toHaveLength(5);
    expect(text.endsWith('\n')).toBe(true);
  });
});

describe('the parts of a structured document', () => {
  it('carry their place in the document', async () => {
    const document = {
      ...(sectioned(
        {
          title: 'A',
          text: 'One. Two.',
          metadata: { owner: 'ops' },
          sections: [{ id: 77, title: 'B', text: 'Three.' }, { text: 'Four.' }],
        },
        { sections: [{ title: 'C', text: '', sections: [{ text: 'Five.' }] }] },
      ) as object),
      title: 'not a part',
    };
    const place = (section: number, breadcrumb: string[]) => ({ section, breadcrumb, is_title: false, offset: 0 });
    expect(await partsOf(document)).toStrictEqual([
      { text: 'A', metadata: { owner: 'ops', ...place(1, []), title: 'A', is_title: true, len: 1 } },
      { text: 'One. ', metadata: { owner: 'ops', ...place(1, []), title: 'A', len: 5 } },
      { text: 'Two.', metadata: { owner: 'ops', ...place(1, []), title: 'A', offset: 5, len: 4 } },
      { text: 'B', metadata: { ...place(77, ['A']), title: 'B', is_title: true, len: 1 } },
      { text: 'Three.', metadata: { ...place(77, ['A']), title: 'B', len: 6 } },
      { text: 'Four.', metadata: { ...place(3, ['A']), len: 5 } },
      { text: 'C', metadata: { ...place(5, []), title: 'C', is_title: true, len: 1 } },
      { text: 'Five.', metadata: { ...place(6, ['C']), len: 5 } },
    ]);
  });

  it('win over equal names in the metadata of the section', async () => {
    const metadata = { section: 'x', title: 'x', breadcrumb: 'x', is_title: 'x', offset: 'x', len: 'x', other: 'x' };
    expect(await partsOf(sectioned({ id: 5, title: '', text: 'One.', metadata }))).toStrictEqual([
      {
        text: 'One.',
        metadata: { section: 5, title: '', breadcrumb: [], is_title: false, offset: 0, len: 4, other: 'x' },
      },
    ]);
  });

  it('have the language of the section, else of the nearest one above, else of the document', async () => {
    const document = {
      ...(sectioned(
        {
          text: 'A',
          metadata: { lang: 'de' },
          sections: [{ text: 'B', metadata: { n: 1 }, sections: [{ text: 'C' }] }],
        },
        { text: 'D', metadata: { lang: 7 } },
        { text: 'E', metadata: { lang: 'not a language' } },
      ) as object),
      metadata: { lang: 'fr' },
    };
    const langs = (await partsOf(document)).map((part) => (part as { metadata: { lang: string } }).metadata.lang);
    expect(langs).toStrictEqual(['de', 'de', 'de', 'fr', 'fr']);
    expect(await partsOf(sectioned({ text: 'D', metadata: { lang: 7 } }))).toHaveProperty('0.metadata.lang', 7);
  });

  it('are at least one where a section has metadata, so that it is not lost', async () => {
    const tables = [{ id: 't' }];
    expect(await partsOf(sectioned({ tables }, { tables, metadata: {} }))).toStrictEqual([]);
    expect(await partsOf(sectioned({ tables, metadata: { a: 1 } }))).toStrictEqual([
      { text: '', metadata: { a: 1, section: 1, breadcrumb: [], is_title: false, offset: 0, len: 0 } },
    ]);
  });

  it('never exceed the limit, titles included', async () => {
    const limits = { ...LIMITS, partChars: 100 };
    const record = await write(sectioned({ title: 'T'.repeat(250), text: 'x'.repeat(250) }), limits);
    const { items } = await read(record);
    expect(items.map((item) => 'text' in item && item.text.length)).toStrictEqual([100, 100, 50, 100, 100, 50]);
  });
});

describe('writing and reading back', () => {
  const rejoined = (items: RecordItem[]): string => items.map((item) => ('text' in item ? item.text : '')).join('');
  const textsIn = (document: IndexDocument): string => {
    const inSections = (sections: StructuredDocument['sections']): string =>
      sections.map(({ title = '', text = '', sections = [] }) => title + text + inSections(sections)).join('');
    return document.type === 'core'
      ? document.document_parts.map((part) => part.text).join('')
      : inSections(document.sections);
  };
  const bare = (text: string): string => text.replaceAll(/\s/g, '');

  it('gives any document again, with all its texts in order, and the same when it comes byte by byte', async () => {
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

  it('reads of the source only what the head needs', async () => {
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

  it('ends the source when the reader leaves early, or disposes of it', async () => {
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

  it('hands on the errors of the source as they are', async () => {
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

describe('what is no record is OBJECT_UNREADABLE', () => {
  const HEAD =
    '{"v":1,"tenant":"t","corpus":"c","id":"SECRET","revision":1,"type":"core","metadata":{},"parts":1,"tables":1,"images":1}\n';
  const PART = '{"text":"SECRET","metadata":{}}\n';
  const REST = '{"table":{}}\n{"image":{}}\n';

  it('while this one is', async () => {
    expect((await read(Buffer.from(HEAD + PART + REST))).items).toHaveLength(3);
  });

  test.each([
    ['nothing', ''],
    ['a head without LF', HEAD.trim()],
    ['a head that is no JSON', `SECRET\n${PART}${REST}`],
    ['a head that is a list', `[1]\n${PART}${REST}`],
    ['a head of another version', HEAD.replace('"v":1', '"v":2') + PART + REST],
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
    ['a part that is no JSON', `${HEAD}{"text":"SECRET\n${REST}`],
    ['a table that is a text', `${HEAD}${PART}{"table":"SECRET"}\n{"image":{}}\n`],
    ['a line that is null', `${HEAD}null\n${REST}`],
  ])('%s', async (_, text) => {
    const error: unknown = await read(Buffer.from(text), 7).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'OBJECT_UNREADABLE', reason: 'record' });
    expect((error as Error).cause).toBeUndefined();
    expect((error as Error).stack).not.toContain('SECRET');
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

describe('a document that would become far larger than it is', () => {
  it('is refused with the section that is to blame, before the memory is spent', async () => {
    const limits = { partChars: 100, metadataBytes: 32_768, documentBytes: 65_536 };
    const hostile = sectioned({ text: 'Fine.' }, { text: 'A b. '.repeat(5000), metadata: { a: 'x'.repeat(30_000) } });
    await expect(write(hostile, limits)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'sections[1]' });
  });

  it('is refused at the byte above the bound and accepted at the bound', async () => {
    const document = parseDocument(core, WIDE);
    const { length } = await writeRecord({ ...PLACE, document }, WIDE);
    const limits = { ...WIDE, documentBytes: 1024, partChars: 10_000_000 };
    const room = recordBytesLimit(limits) - length;
    const filled = (units: number): IndexDocument => ({
      ...(document as Extract<IndexDocument, { type: 'core' }>),
      document_parts: [
        { text: `One.${'x'.repeat(units)}`, ...PART_REST },
        { text: 'Two.', table_id: 'table-1', image_id: 'nowhere' },
      ],
    });
    expect(await writeRecord({ ...PLACE, document: filled(room) }, limits)).toHaveLength(recordBytesLimit(limits));
    await expect(writeRecord({ ...PLACE, document: filled(room + 1) }, limits)).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
    });
  });

  const PART_REST = { metadata: { n: 1 }, context: 'Before.', custom_dimensions: { boost: 2 } };
});

describe('long work', () => {
  const long = { type: 'structured', id: 'd', sections: [{ text: 'A sentence of some words. '.repeat(200_000) }] };
  const document = parseDocument(long, WIDE);

  /** A clock on which every look is 10 ms after the last one: whoever looks finds that it is time to rest. */
  const hasty = (): Clock => {
    const clock = new FakeClock();
    return {
      now: () => clock.now(),
      after: (ms, fn) => clock.after(ms, fn),
      monotonic: () => (clock.skipMonotonic(10), clock.monotonic()),
    };
  };

  it('lets a timer run in the middle of a text of 5 MB', async () => {
    let isDone = false;
    let ranBefore: boolean | undefined;
    const timer = setTimeout(() => (ranBefore = !isDone), 0);
    await writeRecord({ ...PLACE, document }, WIDE);
    isDone = true;
    clearTimeout(timer);
    expect(ranBefore).toBe(true);
  });

  it('rests at every piece of text when time is up, and not otherwise', async () => {
    const short = parseDocument(sectioned({ text: 'One. Two. Three. '.repeat(20) }), WIDE);
    const turnsDuring = async (clock: Clock): Promise<number> => {
      const state = { isDone: false, turns: 0 };
      const work = writeRecord({ ...PLACE, document: short }, WIDE, { clock }).finally(() => (state.isDone = true));
      while (!state.isDone) {
        await turn();
        state.turns += 1;
      }
      await work;
      return state.turns;
    };
    expect(await turnsDuring(hasty())).toBeGreaterThan(60);
    expect(await turnsDuring(new FakeClock())).toBeLessThan(5);
  });

  it('stops when it is told to, before it begins and in the middle', async () => {
    const before = AbortSignal.abort(new Error('told before'));
    await expect(writeRecord({ ...PLACE, document }, WIDE, { signal: before })).rejects.toThrow('told before');
    const controller = new AbortController();
    const work = writeRecord({ ...PLACE, document }, WIDE, { signal: controller.signal, clock: hasty() });
    await turn();
    controller.abort(new Error('told in the middle'));
    await expect(work).rejects.toThrow('told in the middle');
  });
});
