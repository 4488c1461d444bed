// XML: its text in order, and no external references.
import { describe, expect, test } from 'vitest';
import { readXml } from '../src/formats/xml.ts';

const read = (xml: string | Buffer) => readXml({ bytes: Buffer.from(xml as string), filename: 'a.xml' });
const textOf = async (xml: string): Promise<string | undefined> => (await read(xml)).sections[0]?.text;

const RECIPE = `<?xml version="1.0" encoding="UTF-8"?>
<!-- a recipe -->
<recipe xml:lang="de" kind="cake">
  <info><title>Apple &amp; pear</title><time>40</time><unit>min</unit></info>
  <step>Peel the <b>ripe</b> apples,
    not the pears.</step>
  <step><![CDATA[Bake at <200> degrees & wait]]></step><empty/>
  <!-- never said --><step>Eat&#33;</step>
</recipe>`;

test('elements become lines, inline words stay in their sentence, and the first title is the title', async () => {
  expect(await read(RECIPE)).toEqual({
    contentType: 'application/xml',
    title: 'Apple & pear',
    metadata: { lang: 'de' },
    sections: [
      {
        text: 'Apple & pear\n40\nmin\nPeel the ripe apples, not the pears.\nBake at <200> degrees & wait\nEat!',
      },
    ],
  });
});

test('the declaration gives the encoding', async () => {
  const xml = "<?xml version='1.0' encoding='windows-1251'?><a>\xcf\xf0\xe8\xe2\xe5\xf2</a>";
  expect((await read(Buffer.from(xml, 'latin1'))).sections).toEqual([{ text: 'Привет' }]);
});

describe('hostile XML', () => {
  test('with entities that grow by ten is not expanded', async () => {
    const levels = Array.from({ length: 9 }, (_, at) => `<!ENTITY l${at + 1} "${`&l${at};`.repeat(10)}">`);
    const bomb = `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY l0 "lol">${levels.join('')}]><l>&l9; ha</l>`;
    expect(await textOf(bomb)).toBe('&l9; ha');
  });

  test('with external references causes no fetch', async () => {
    const xml = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd"><!-- > ] --> ]><a>&x; is all</a>';
    expect(await textOf(xml)).toBe('&x; is all');
  });

  test.each([
    ['<a><b>one</a></b>two', 'one\ntwo'],
    ['<a>one<b attr="never closed>two', 'one'],
    ['<a>one<![CDATA[two', 'onetwo'],
    ['<!DOCTYPE a [ <a>lost</a>', ''],
  ])('like %s is read as far as possible', async (xml, text) => {
    expect(await textOf(xml)).toBe(text);
  });

  test('with elements nested a million deep is read normally', async () => {
    expect(await textOf(`${'<a>'.repeat(1_000_000)}deep${'</a>'.repeat(1_000_000)}`)).toBe('deep');
  });
});
