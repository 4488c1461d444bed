// Markdown: sections by headings, and words without markup.
import { describe, expect, test } from 'vitest';
import { readMarkdown } from '../src/formats/markdown.ts';

const read = (text: string) => readMarkdown({ bytes: Buffer.from(text), filename: 'a.md' });
const textOf = async (text: string): Promise<string | undefined> => (await read(text)).sections[0]?.text;

const PAGE = `---
title: "The handbook"
author: Ann Lee
date: 2026-03-01
tags: [a, b]
---
Words before
any heading.

# Getting *started* #

See [the guide](https://example.org/a_(b) "Title") or [this][ref], <https://example.org>
and ![a picture](pic.png).

[ref]: https://example.org

### Deep

- one
- [x] two
  goes on
1. three

Setext one
==========

> A quote
> goes on.

| Name | Value |
|------|:-----:|
| \`a\` | **1** |
| b \\| c |   |

Setext two
---

\`\`\`sh
# not a heading
echo *a* _b_
\`\`\`

<!-- a comment
over lines -->
    indented **code**

Last&nbsp;words &amp; <b>tags</b>.
`;

test('a page becomes nested sections with its title and metadata', async () => {
  expect(await read(PAGE)).toEqual({
    contentType: 'text/markdown',
    title: 'The handbook',
    metadata: { author: 'Ann Lee', date: '2026-03-01' },
    sections: [
      { text: 'Words before any heading.' },
      {
        title: 'Getting started',
        text: 'See the guide or this, https://example.org and a picture.',
        sections: [{ title: 'Deep', text: 'one\ntwo goes on\nthree' }],
      },
      {
        title: 'Setext one',
        text: 'A quote goes on.\nName\tValue\na\t1\nb | c',
        sections: [
          {
            title: 'Setext two',
            text: '# not a heading\necho *a* _b_\n    indented **code**\nLast\u00a0words & tags.',
          },
        ],
      },
    ],
  });
});

describe('text', () => {
  test.each([
    ['***both** one* and __two__', 'both one and two'],
    ['2 * 3 * 4, snake_case_name, a*b', '2 * 3 * 4, snake_case_name, a*b'],
    ['~~gone~~ but ~5', 'gone but ~5'],
    ['`` a ` b `` and `*c*` and ` alone', 'a ` b and *c* and ` alone'],
    ['\\*not\\* \\a [no link] a]b', '*not* \\a [no link] a]b'],
    ['[![alt](a.png)](b) <img src="c" alt="logo"> x', 'alt logo x'],
    ['one  \ntwo\\\nthree<br>four', 'one\ntwo\nthree\nfour'],
    ['a < b > c, <me@example.org>', 'a < b > c, me@example.org'],
    ['---\nnot: front matter', 'not: front matter'],
    ['<!-- never closed\ntext', '<!-- never closed text'],
  ])('in %j reads as %j', async (source, text) => {
    expect(await textOf(source)).toBe(text);
  });

  test('has its first heading of the first level as the title if there is no other', async () => {
    expect(await read('## Two\n# One\n# Other')).toMatchObject({ title: 'One' });
  });
});

describe('hostile Markdown', () => {
  test.each([
    '[',
    '*',
    '>',
    '> ',
    '`',
    '_',
    '**a ',
    '[a](',
    '![',
    '<a ',
    '- ',
    '|a',
    '1. ',
    'a*',
    '[]((',
    '<!--',
    '&a',
    '\\',
    '``a',
    '~~',
  ])('like a megabyte of %j is read in time, without growth or loss of its words', async (sign) => {
    const text = await textOf(`start ${sign.repeat(1_000_000 / sign.length)}\n\nend`);
    expect(text?.startsWith('start')).toBe(true);
    expect(text?.endsWith('end')).toBe(true);
    expect(text?.length).toBeLessThanOrEqual(1_000_010);
  });
});
