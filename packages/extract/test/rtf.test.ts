// Rich text, compared with its visible text; and damaged or hostile files.
import { expect, test } from 'vitest';
import { readRtf } from '../src/formats/rtf.ts';
import { faultOf } from './faults.ts';

const read = (text: string) => readRtf({ bytes: Buffer.from(text, 'latin1'), filename: 'a.rtf' });

const STYLES = String.raw`{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2\outlinelevel1 heading 2;}}`;
const INFO = String.raw`{\info{\title Annual \'e9t\'e9 \{1\}}{\author Ann \u322?ee}{\subject Money}{\keywords sales, costs}{\creatim\yr2026\mo3\dy1\hr10\min0}{\revtim\yr2026\mo3\dy2\hr11\min30}{\nofpages3}}`;
const rtf = (body: string): string =>
  String.raw`{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}` + STYLES + INFO + body + '}';

test('rich text becomes nested sections, with its metadata', async () => {
  const body = String.raw`
\pard\plain Before any heading.\par
\pard\plain\s1\outlinelevel0 The year\par
\pard\plain Sales {\b rose} by 5\~% \emdash  much.\tab Caf\'e9, \u8364?5.\par
\pard\plain\s2\outlinelevel1 Spring\par
\trowd\cellx1000\cellx2000\pard\intbl Month\cell Sum\cell\row
\trowd\cellx1000\cellx2000\pard\intbl May\cell 7\cell\row
\pard\plain\s1\outlinelevel0 End\par
\pard\plain Bye{\*\hidden nothing}.\par`;
  expect(await read(rtf(body))).toEqual({
    contentType: 'application/rtf',
    title: 'Annual été {1}',
    metadata: {
      author: 'Ann łee',
      subject: 'Money',
      keywords: 'sales, costs',
      created: '2026-03-01T10:00:00.000Z',
      modified: '2026-03-02T11:30:00.000Z',
      pages: 3,
    },
    sections: [
      { text: 'Before any heading.' },
      {
        title: 'The year',
        text: 'Sales rose by 5\u00a0% — much.\tCafé, €5.',
        sections: [{ title: 'Spring', text: 'Month\tSum\nMay\t7' }],
      },
      { title: 'End', text: 'Bye.' },
    ],
  });
});

test('truncated rich text is damaged', async () => {
  const whole = rtf(String.raw`\pard Some words.\par {\b More} words.\par`);
  for (const part of [0.1, 0.5, 0.9]) {
    expect(await faultOf(read(whole.slice(0, Math.floor(whole.length * part))))).toBe('damaged');
  }
});

test('groups nested a hundred thousand deep are rejected as too deep', async () => {
  expect(await faultOf(read(rtf('{'.repeat(100_000) + 'x' + '}'.repeat(100_000))))).toBe('too-deep');
});

test('braces in binary data, and escaped ones, do not count as groups', async () => {
  const { sections } = await read(rtf(String.raw`\pard A \{ brace.\par {\pict\bin4 {{{{}\par`));
  expect(sections).toEqual([{ text: 'A { brace.' }]);
});

test('binary data with a length beyond the file is damaged', async () => {
  expect(await faultOf(read(rtf(String.raw`\pard x{\pict\bin999999999 y}`)))).toBe('damaged');
});
