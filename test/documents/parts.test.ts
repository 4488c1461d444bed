import { describe, expect, it } from 'vitest';
import { partsOf, read, sectioned, write } from './records.ts';
import { LIMITS } from './samples.ts';

describe('the parts of a structured document', () => {
  it('contain their position in the document', async () => {
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

  it('override equal names in the metadata of the section', async () => {
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

  it('are at least one for a section with metadata, so that it is not lost', async () => {
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
