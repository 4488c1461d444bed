import { describe, expect, it } from 'vitest';
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/runtime/clock.ts';
import { recordBytesLimit, writeRecord } from '../../src/documents/record.ts';
import { type IndexDocument, parseDocument } from '../../src/documents/shapes.ts';
import { FakeClock } from '../support/clock.ts';
import { PLACE, sectioned, write } from './records.ts';
import { core, WIDE } from './samples.ts';

describe('a document with a far larger record', () => {
  it('is rejected with its largest section before the memory is used', async () => {
    const limits = { partChars: 100, metadataBytes: 32_768, documentBytes: 65_536 };
    const hostile = sectioned({ text: 'Fine.' }, { text: 'A b. '.repeat(5000), metadata: { a: 'x'.repeat(30_000) } });
    await expect(write(hostile, limits)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'sections[1]' });
  });

  it('is rejected at the byte above the limit and accepted at the limit', async () => {
    const document = parseDocument(core, WIDE);
    const { length } = await writeRecord({ ...PLACE, document }, WIDE);
    const limits = { ...WIDE, documentBytes: 1024, partChars: 10_000_000 };
    const space = recordBytesLimit(limits) - length;
    const filled = (units: number): IndexDocument => ({
      ...(document as Extract<IndexDocument, { type: 'core' }>),
      document_parts: [
        { text: `One.${'x'.repeat(units)}`, ...PART_REST },
        { text: 'Two.', table_id: 'table-1', image_id: 'nowhere' },
      ],
    });
    expect(await writeRecord({ ...PLACE, document: filled(space) }, limits)).toHaveLength(recordBytesLimit(limits));
    await expect(writeRecord({ ...PLACE, document: filled(space + 1) }, limits)).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
    });
  });

  it('is limited by its own size too, so that many small ones cannot fill the memory together', async () => {
    const document = parseDocument(
      sectioned({ text: 'A b. '.repeat(520), metadata: { a: 'x'.repeat(250_000) } }),
      WIDE,
    );
    const bytes = JSON.stringify(document).length;
    await expect(writeRecord({ ...PLACE, document, bytes }, WIDE).then(({ length }) => length)).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
      field: 'sections[0]',
    });
    expect(recordBytesLimit(WIDE, bytes)).toBe(32 * bytes + 1_048_576);
    expect(recordBytesLimit(WIDE, WIDE.documentBytes)).toBe(recordBytesLimit(WIDE));
  });

  it('is not assembled before exactly its bytes are available', async () => {
    const document = parseDocument(core, WIDE);
    const requested: number[] = [];
    const makeRoom = async (bytes: number): Promise<void> => void requested.push(bytes);
    const { length } = await writeRecord({ ...PLACE, document }, WIDE, { makeRoom });
    expect(requested).toEqual([length]);
    const refuse = (): Promise<never> => Promise.reject(new Error('no room'));
    await expect(writeRecord({ ...PLACE, document }, WIDE, { makeRoom: refuse })).rejects.toThrow('no room');
  });

  const PART_REST = { metadata: { n: 1 }, context: 'Before.', custom_dimensions: { boost: 2 } };
});

describe('a document of very many small things', () => {
  const row = { text: 'x'.repeat(200), metadata: { page: 1 } };
  const parts = (count: number) => ({
    type: 'core',
    id: 'd',
    document_parts: Array.from({ length: count }, () => row),
  });

  it('is accepted up to half a million objects and arrays, such as 160,000 parts with metadata', () => {
    expect(parseDocument(parts(160_000), { ...WIDE, metadataBytes: 8_000_000, documentBytes: 67_108_864 }).type).toBe(
      'core',
    );
  });

  it('is rejected beyond, before the rest of it is read', () => {
    const rows = Array.from({ length: 600_000 }, (_, index) => (index < 590_000 ? [] : undefined));
    const hostile = { ...core, tables: [{ data: { headers: [], rows } }] };
    expect(() => parseDocument(hostile, WIDE)).toThrow(
      expect.objectContaining({
        code: 'DOCUMENT_INVALID',
        field: 'document',
        message: expect.stringContaining('500000'),
      }),
    );
  });
});

describe('long work', () => {
  const long = { type: 'structured', id: 'd', sections: [{ text: 'A sentence of some words. '.repeat(200_000) }] };
  const document = parseDocument(long, WIDE);

  /** A clock on which every read is 10 ms after the last one, so that every check is due. */
  const hasty = (): Clock => {
    const clock = new FakeClock();
    return {
      now: () => clock.now(),
      after: (ms, fn) => clock.after(ms, fn),
      monotonic: () => (clock.skipMonotonic(10), clock.monotonic()),
    };
  };

  it('allows a timer to run in the middle of a text of 5 MB', async () => {
    let isDone = false;
    let ranBefore: boolean | undefined;
    const timer = setTimeout(() => (ranBefore = !isDone), 0);
    await writeRecord({ ...PLACE, document }, WIDE);
    isDone = true;
    clearTimeout(timer);
    expect(ranBefore).toBe(true);
  });

  it('yields at every piece of text when time is up, and not otherwise', async () => {
    const turnsDuring = async (clock: Clock, text = 'One. Two. Three. '.repeat(20)): Promise<number> => {
      const short = parseDocument(sectioned({ text, title: 'T' }), WIDE);
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
    expect(await turnsDuring(hasty(), '\n'.repeat(100))).toBeGreaterThan(90);
    expect(await turnsDuring(new FakeClock())).toBeLessThan(5);
  });

  it('stops when aborted, before it begins and in the middle', async () => {
    const before = AbortSignal.abort(new Error('told before'));
    await expect(writeRecord({ ...PLACE, document }, WIDE, { signal: before })).rejects.toThrow('told before');
    const controller = new AbortController();
    const work = writeRecord({ ...PLACE, document }, WIDE, { signal: controller.signal, clock: hasty() });
    await turn();
    controller.abort(new Error('told in the middle'));
    await expect(work).rejects.toThrow('told in the middle');
  });

  it('stops at the next piece even if no time has passed', async () => {
    const controller = new AbortController();
    let checks = 0;
    const clock: Clock = {
      now: () => 0,
      after: () => ({ cancel() {} }),
      monotonic() {
        checks += 1;
        if (checks === 50) controller.abort(new Error('told at look 50'));
        return 0;
      },
    };
    await expect(writeRecord({ ...PLACE, document }, WIDE, { signal: controller.signal, clock })).rejects.toThrow(
      'look 50',
    );
    expect(checks).toBe(50);
  });
});
