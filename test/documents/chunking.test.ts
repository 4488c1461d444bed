import { describe, expect, it, test } from 'vitest';
import * as fc from 'fast-check';
import { systemClock } from '../../src/runtime/clock.ts';
import { type Chunk, type Chunking, chunkingOf, chunksOf } from '../../src/documents/chunking.ts';
import { createYielder } from '../../src/documents/yielder.ts';
import { sentencePieces } from '../../src/documents/sentences.ts';
import { LIMITS, prose, runs } from './samples.ts';

const chunks = (text: string, chunking: Chunking): Promise<Chunk[]> =>
  Array.fromAsync(chunksOf(text, chunking, createYielder(systemClock)));

const texts = async (text: string, chunking: Chunking): Promise<string[]> =>
  (await chunks(text, chunking)).map((chunk) => chunk.text);

/** Sentence ends of the segmenter for the whole text at once. */
const sentenceEnds = (text: string): number[] =>
  [...new Intl.Segmenter(['und', 'en'], { granularity: 'sentence' }).segment(text)].map(
    ({ index, segment }) => index + segment.length,
  );

const endsOf = (text: string, windowChars: number): number[] =>
  [...sentencePieces(text, windowChars)].filter((piece) => piece.endsSentence).map((piece) => piece.end);

const anyText = fc.oneof(prose, fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ maxLength: 400 }));
const anyChunking = fc.record({ maxChars: fc.integer({ min: 2, max: 300 }), joins: fc.boolean() });

describe('sentences found window by window', () => {
  test.each([
    [
      'words',
      'It was 3.5 km. Mr. Smith, e.g. he, ran! Did he? "Yes." (He did.) And so on... then 中文。好的。 U.S.A. is far. ',
    ],
    ['no end', 'word and word '],
    ['no space', 'abcdefghij'],
    ['lines', 'one\ntwo\r\n\r\nthree \u2029'],
    ['emoji', '😀 👨‍👩‍👧 yes. no '],
  ])('are the same as in the whole text (%s)', (_, piece) => {
    const text = piece.repeat(60);
    for (const window of [200, 201, 257, 1000]) expect(endsOf(text, window)).toStrictEqual(sentenceEnds(text));
  });

  it.each([195, 198, 199, 200, 201, 202, 205])(
    'are the same where a sentence of %d ends about where a window does',
    (units) => {
      for (const end of ['end. ', 'end.', 'U.S. ', 'e.g. ']) {
        const text = `${'Word'.padEnd(units - end.length, ' word')}${end}`.repeat(8);
        expect(endsOf(text, 200)).toStrictEqual(sentenceEnds(text));
      }
    },
  );

  it('are the same where only the text after the window decides that none ended', () => {
    const text = `${'Word '.repeat(36)}No. 1 2 3 4 5 6 7 8 9 of them. Then more. `.repeat(8);
    for (let window = 180; window < 240; window++) expect(endsOf(text, window)).toStrictEqual(sentenceEnds(text));
  });

  it('are the same for any prose', () => {
    const words = fc.constantFrom(
      'He ran. ',
      'e.g. this ',
      'So? ',
      'No! ',
      '3.14 ',
      'U.S. law ',
      'end.) ',
      'x\n',
      '。',
      'ok ',
    );
    fc.assert(
      fc.property(
        fc.array(words, { minLength: 50, maxLength: 400 }),
        fc.integer({ min: 200, max: 400 }),
        (parts, window) => {
          const text = parts.join('');
          expect(endsOf(text, window)).toStrictEqual(sentenceEnds(text));
        },
      ),
      runs(200),
    );
  });

  it('lie in order and without gaps for any text and window, even a tiny one', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 2, max: 40 }), (text, window) => {
        const ends = [...sentencePieces(text, window)].map((piece) => piece.end);
        expect(ends).toStrictEqual([...new Set(ends)].sort((a, b) => a - b));
        expect(ends.at(-1) ?? 0).toBe(text.length);
        expect(ends.every((end) => text.slice(0, end).isWellFormed())).toBe(true);
      }),
      runs(500),
    );
  });
});

describe('chunks of any text', () => {
  it('contain it in order, within the limit, and leave out nothing but white space', async () => {
    await fc.assert(
      fc.asyncProperty(anyText, anyChunking, async (text, chunking) => {
        let at = 0;
        let leftOut = '';
        for (const chunk of await chunks(text, chunking)) {
          expect(chunk.offset).toBeGreaterThanOrEqual(at);
          expect(chunk.text).toBe(text.slice(chunk.offset, chunk.offset + chunk.text.length));
          expect(chunk.text.length).toBeLessThanOrEqual(chunking.maxChars);
          expect(chunk.text.trim()).not.toBe('');
          expect(chunk.text.isWellFormed()).toBe(true);
          leftOut += text.slice(at, chunk.offset);
          at = chunk.offset + chunk.text.length;
        }
        expect((leftOut + text.slice(at)).trim()).toBe('');
      }),
      runs(1000),
    );
  });

  it('are whole sentences wherever a sentence fits', async () => {
    await fc.assert(
      fc.asyncProperty(prose, async (text) => {
        const starts = new Set([0, ...sentenceEnds(text)]);
        const limit = Math.max(2, ...[...starts, text.length].map((end, n, all) => end - (all[n - 1] ?? 0)));
        for (const joins of [true, false]) {
          const found = await chunks(text, { maxChars: limit, joins });
          expect(found.every((chunk) => starts.has(chunk.offset))).toBe(true);
        }
      }),
      runs(300),
    );
  });
});

describe('the two strategies', () => {
  const TEXT = 'One two three. Four five six. Seven eight nine ten eleven. ';

  it('sentence: one part per sentence, unchanged', async () => {
    const found = await texts(TEXT, { maxChars: 100, joins: false });
    expect(found).toStrictEqual(['One two three. ', 'Four five six. ', 'Seven eight nine ten eleven. ']);
  });

  it('max chars: sentences are added while they fit', async () => {
    const found = await texts(TEXT, { maxChars: 30, joins: true });
    expect(found).toStrictEqual(['One two three. Four five six. ', 'Seven eight nine ten eleven. ']);
  });

  it('both: only a sentence over the limit is split, at white space', async () => {
    const found = await texts(TEXT, { maxChars: 20, joins: false });
    expect(found).toStrictEqual(['One two three. ', 'Four five six. ', 'Seven eight nine ten', ' eleven. ']);
  });

  it('max chars: the rest of a split sentence takes the next ones', async () => {
    const found = await texts(`${'x'.repeat(12)}. A b. C d.`, { maxChars: 10, joins: true });
    expect(found).toStrictEqual(['x'.repeat(10), 'xx. A b. ', 'C d.']);
  });

  it('both: a text without white space is split at the limit, but not through a character', async () => {
    expect(await texts('a'.repeat(25), { maxChars: 10, joins: false })).toStrictEqual([
      'aaaaaaaaaa',
      'aaaaaaaaaa',
      'aaaaa',
    ]);
    expect(await texts('😀'.repeat(7), { maxChars: 5, joins: false })).toStrictEqual(['😀😀', '😀😀', '😀😀', '😀']);
    expect(await texts('e\u0301'.repeat(8), { maxChars: 7, joins: false })).toStrictEqual([
      'e\u0301'.repeat(3),
      'e\u0301'.repeat(3),
      'e\u0301'.repeat(2),
    ]);
  });

  it('both: a text of white space has no chunks', async () => {
    expect(await texts(' \n\t\u00a0\u3000\r\n', { maxChars: 100, joins: false })).toStrictEqual([]);
    expect(await texts('', { maxChars: 100, joins: true })).toStrictEqual([]);
  });

  it('both: chunks come from the document and never exceed the limit of a part', () => {
    const max = (max_chars_per_chunk: number) => ({
      type: 'max_chars_chunking_strategy' as const,
      max_chars_per_chunk,
    });
    expect(chunkingOf(undefined, LIMITS)).toStrictEqual({ maxChars: 1000, joins: false });
    expect(chunkingOf({ type: 'sentence_chunking_strategy' }, LIMITS)).toStrictEqual({ maxChars: 1000, joins: false });
    expect(chunkingOf(max(500), LIMITS)).toStrictEqual({ maxChars: 500, joins: true });
    expect(chunkingOf(max(5000), LIMITS)).toStrictEqual({ maxChars: 1000, joins: true });
  });
});

describe('a very long text', () => {
  test.each([
    ['without white space', 'a'],
    ['without a sentence end', 'word '],
    ['full of full stops', '.'],
  ])('with 10 MB (%s) is chunked completely', async (_, piece) => {
    const text = piece.repeat(10_000_000 / piece.length);
    let units = 0;
    for await (const chunk of chunksOf(text, { maxChars: 16_384, joins: false }, createYielder(systemClock))) {
      units += chunk.text.length;
    }
    expect(units).toBe(10_000_000);
  });
});
