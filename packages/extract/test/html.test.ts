// HTML, compared with its visible text.
import { describe, expect, test } from 'vitest';
import { extract } from '../src/extract.ts';
import { readHtml } from '../src/formats/html.ts';

const read = (html: string | Buffer, contentType?: string) =>
  readHtml({ bytes: Buffer.from(html as string), filename: 'a.html', contentType });
const textOf = async (html: string): Promise<string | undefined> => (await read(html)).sections[0]?.text;

const PAGE = `<!DOCTYPE html>
<html lang="en-GB"><head>
  <meta charset="utf-8"><title>Annual &amp; quarterly
    report</title>
  <meta name="author" content="Ann Lee"><meta name="Description" content="How it went &ndash; in short">
  <meta property="article:published_time" content="2026-03-01"><meta name="keywords" content="">
  <style>p { color: red }</style><script>document.write("<p>never</p>")</script>
</head><body>
<p>Before any   heading.
</p>
<h1>The <em>year</em></h1>
<p>Sales rose by 5&nbsp;%.<br>Costs<b>fell</b>.</p>
<h3>Spring</h3>
<ul><li>March<li>April</ul>
<h2>Tables</h2>
<table><tr><th>Month</th><th>Sum</th><th></th></tr>
<tr><td><p>May</p></td><td>7</td><td>ok</td></tr><tr><td></td><td>8</td></tr></table>
<p><img src="http://127.0.0.1:1/a.png" alt="A bar chart">shows it</p>
<h1>Code</h1>
<pre>if (a &lt; b)
    return  1;</pre>
<noscript>No script.</noscript><template><p>Not shown</p></template>
</body></html>`;

test('a page becomes nested sections with its title and metadata', async () => {
  expect(await extract({ bytes: Buffer.from(PAGE), filename: 'a.html' }, { textBytes: 10_000 })).toEqual({
    contentType: 'text/html',
    title: 'Annual & quarterly report',
    metadata: { lang: 'en-GB', author: 'Ann Lee', description: 'How it went – in short', date: '2026-03-01' },
    sections: [
      { text: 'Before any heading.' },
      {
        title: 'The year',
        text: 'Sales rose by 5\u00a0%.\nCostsfell.',
        sections: [
          { title: 'Spring', text: 'March\nApril' },
          { title: 'Tables', text: 'Month\tSum\nMay\t7\tok\n\t8\nA bar chart shows it' },
        ],
      },
      { title: 'Code', text: 'if (a < b)\n    return  1;' },
    ],
  });
});

describe('text', () => {
  test.each([
    ['<div>a</div><div>b</div>', 'a\nb'],
    ['<p>a <i>b</i>c <b> d</b></p>', 'a bc d'],
    ['a&lt;b&eacute;&#x1F600;&unheard;', 'a<bé😀&unheard;'],
    ['<table><tr><td>a<td>b<tr><td>c</table>after', 'a\tb\nc\nafter'],
    ['<p>1 < 2 and 3 > 2</p>', '1 < 2 and 3 > 2'],
    ['<!-- hidden -->seen<![CDATA[x]]>', 'seen'],
    ['<script>a</script >b<style>c', 'b'],
    ['<dl><dt>Term<dd>Meaning</dl>', 'Term\nMeaning'],
    ['<textarea>a <b>c</textarea>', 'a <b>c'],
  ])('in %s reads as %j', async (html, text) => {
    expect(await textOf(html)).toBe(text);
  });

  test('has its first heading as the title of a page without one', async () => {
    expect(await read('<h2>One</h2>x')).toMatchObject({ title: 'One' });
  });
});

describe('a page', () => {
  const words = 'Grüße à l’été';
  test.each([
    ['its meta element', '<meta charset=windows-1252>', undefined],
    ['its older meta element', '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">', undefined],
    ['its sender', '', 'text/html; charset=windows-1252'],
    ['its characters', '', undefined],
  ])('in Windows-1252 is detected by %s', async (_, meta, declared) => {
    const bytes = Buffer.from(`${meta}<p>${words}`.replaceAll('’', '\u0092'), 'latin1');
    expect((await read(bytes, declared)).sections).toEqual([{ text: words }]);
  });

  test('in Shift_JIS is read as its meta element declares', async () => {
    const bytes = Buffer.concat([Buffer.from('<meta charset="shift_jis"><p>'), Buffer.from('93fa967b8cea', 'hex')]);
    expect((await read(bytes)).sections).toEqual([{ text: '日本語' }]);
  });
});

describe('hostile pages', () => {
  test('with tags nested a million deep, closed wrongly or never, are read normally', async () => {
    const deep = `${'<div><b>'.repeat(500_000)}deep${'</i></div>'.repeat(400_000)}`;
    expect(await textOf(deep)).toBe('deep');
  });

  test('with an unclosed heading keep their text', async () => {
    const { sections } = await read(`<h1>Start ${'<p>word '.repeat(1000)}`);
    expect(sections[0]?.title?.length).toBeLessThan(1100);
    expect(`${sections[0]?.title}\n${sections[0]?.text}`.match(/word/g)).toHaveLength(1000);
  });

  test('with a table of half a million cells keep its rows', async () => {
    const text = await textOf(`<table>${`<tr>${'<td>x</td>'.repeat(500)}</tr>`.repeat(1000)}</table>`);
    expect(text?.split('\n')).toHaveLength(1000);
    expect(text?.split('\n')[999]?.split('\t')).toHaveLength(500);
  });
});
