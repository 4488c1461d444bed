// Circular and endless PDFs, read as a worker reads them: by a real child process, within its limits.
import { afterAll, describe, expect, test } from 'vitest';
import { pdfOf } from '../../packages/extract/test/make-pdf.ts';
import { childPool, outcomeOf, messageOf } from './outcomes.ts';

const LONG_MS = 600_000;

const pool = childPool();
/** A timeout for endless cases. */
const hasty = childPool(3000);

afterAll(() => Promise.all([pool.stop(), hasty.stop()]));

/** Forms that draw the next one ten times each. */
function tenfold(levels: number): Buffer {
  const form = (draws: string, next: number): string =>
    `<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X ${next} 0 R >> /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> /Length ${draws.length} >>\nstream\n${draws}\nendstream`;
  return pdfOf([
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /XObject << /X 5 0 R >> >> /Contents 4 0 R >>',
    '<< /Length 5 >>\nstream\n/X Do\nendstream',
    ...Array.from({ length: levels }, (_, at) => form('/X Do '.repeat(10), 6 + at)),
    form('BT /F 9 Tf (x) Tj ET', 1),
  ]);
}

test(
  'forms that draw the next one ten times each are stopped by the time limit',
  async () => {
    expect(await outcomeOf(hasty, tenfold(30), 'a.pdf')).toBe(messageOf('time'));
  },
  LONG_MS,
);

describe('a circular PDF is stopped:', () => {
  const stream = (text: string, entries = ''): string =>
    `<< /Length ${text.length} ${entries} >>\nstream\n${text}\nendstream`;
  const HELLO = stream('BT /F 9 Tf (Hello) Tj ET');
  const HELVETICA = '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>';
  const objects = ({ catalog = '', font = HELVETICA, more = [] as readonly string[] } = {}): string[] => [
    `<< /Type /Catalog /Pages 2 0 R ${catalog} >>`,
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>',
    HELLO,
    font,
    ...more,
  ];

  /** With its objects 1 to 3 in a circular object stream, and a table that follows itself. */
  function packed(): Buffer {
    const inside = objects().slice(0, 3);
    let at = 0;
    const heads = inside.map((object, index) => {
      const head = `${index + 1} ${at} `;
      at += object.length + 1;
      return head;
    });
    const first = heads.join('').length;
    const all = [
      HELLO,
      HELVETICA,
      stream(`${heads.join('')}${inside.join(' ')}`, `/Type /ObjStm /N 3 /First ${first} /Extends 6 0 R`),
    ];
    let text = '%PDF-1.7\n';
    const rows = [[0, 0, 0], ...inside.map((_, index) => [2, 6, index])];
    for (const [index, object] of all.entries()) {
      rows.push([1, text.length, 0]);
      text += `${index + 4} 0 obj\n${object}\nendobj\n`;
    }
    rows.push([1, text.length, 0]);
    const table = Buffer.concat(
      rows.map(([type = 0, place = 0, index = 0]) => Buffer.from([type, place >> 8, place & 255, index])),
    );
    const entries = `/Type /XRef /Size 8 /W [1 2 1] /Root 1 0 R /Prev ${text.length}`;
    return Buffer.from(
      `${text}7 0 obj\n${stream(table.toString('latin1'), entries)}\nendobj\nstartxref\n${text.length}\n%%EOF\n`,
      'latin1',
    );
  }

  test.each<[string, () => Buffer]>([
    [
      'a table of objects that came after itself',
      () => {
        const text = pdfOf(objects()).toString('latin1');
        return Buffer.from(text.replace('/Root', `/Prev ${/startxref\n(\d+)/.exec(text)?.[1] ?? ''} /Root`), 'latin1');
      },
    ],
    ['a table in a stream and a stream of objects that go on in themselves', packed],
    [
      'outlines that hold themselves',
      () =>
        pdfOf(
          objects({
            catalog: '/Outlines 6 0 R',
            more: ['<< /First 7 0 R /Last 7 0 R >>', '<< /Title (a) /Parent 6 0 R /Next 7 0 R /First 7 0 R >>'],
          }),
        ),
    ],
    [
      'a length given by the stream itself',
      () => pdfOf(objects().with(3, HELLO.replace(/Length \d+/, 'Length 4 0 R'))),
    ],
    [
      'a glyph drawn in its own font',
      () =>
        pdfOf(
          objects({
            font: '<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 72 /LastChar 72 /Widths [5] /Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [72 /H] >> /CharProcs << /H 6 0 R >> /Resources << /Font << /F 5 0 R >> >> >>',
            more: [stream('BT /F 9 Tf (H) Tj ET')],
          }),
        ),
    ],
  ])(
    '%s',
    async (_, make) => {
      expect(await outcomeOf(pool, make(), 'a.pdf')).toBe('Page 1Hello');
    },
    LONG_MS,
  );

  test(
    'a font inside of itself',
    async () => {
      const font =
        '<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding 6 0 R /ToUnicode 6 0 R /DescendantFonts [5 0 R] >>';
      const bytes = pdfOf(objects({ font, more: [stream('', '/Type /CMap /UseCMap 6 0 R')] }));
      // Their characters are unknown.
      expect(await outcomeOf(pool, bytes, 'a.pdf')).toMatch(/^Page 1|holds no text/);
    },
    LONG_MS,
  );

  test(
    'a million objects',
    async () => {
      const bytes = pdfOf(objects({ more: Array.from({ length: 1_000_000 }, () => '0') }));
      expect(await outcomeOf(pool, bytes, 'a.pdf')).toBe('Page 1Hello');
    },
    LONG_MS,
  );
});
