// Bench of file extraction: 10 MB of plain text, a PDF of 100 pages, two files at once against one. Also compares the words found
// in a PDF with pdftotext (Debian: poppler-utils). Run: node bench/extract.ts. Only ratios of one run are meaningful.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/runtime/clock.ts';
import { extract } from '@sealdex/extract';
import { createExtractPool } from '../src/extract/pool.ts';
import { makePdf } from '../packages/extract/test/make-pdf.ts';

const MIB = 1_048_576;
const LIMITS = { partChars: 16_384, metadataBytes: MIB, documentBytes: 32 * MIB };
const TEXT = { textBytes: LIMITS.documentBytes };
const SENTENCE = 'The quick brown fox jumps over the lazy dog near the river bank on a bright morning. ';

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const begun = systemClock.monotonic();
  await work();
  return (systemClock.monotonic() - begun) / 1000;
};

/** Different words in each line, so that the order can be checked. */
const pages = Array.from({ length: 100 }, (_, page) =>
  Array.from({ length: 50 }, (_, line) => `page ${page} line ${line} says word${page * 50 + line} and nothing else`),
);
const pdf = makePdf({ pages });
const text = Buffer.from(SENTENCE.repeat(Math.ceil((10 * MIB) / SENTENCE.length)).slice(0, 10 * MIB));
const files = {
  text: { bytes: text, filename: 'text.txt' },
  pdf: { bytes: pdf, filename: 'pages.pdf' },
};

await extract(files.pdf, TEXT);
const textSeconds = await seconds(() => extract(files.text, TEXT));
const pdfSeconds = await seconds(() => extract(files.pdf, TEXT));
console.log(
  `10 MB of plain text: ${textSeconds.toFixed(2)} s (wanted: 1); a PDF of 100 pages: ${pdfSeconds.toFixed(2)} s (3)`,
);

const place = { tenant: 'bench', corpus: 'bench', id: 'bench', revision: 1 };
await using pool = createExtractPool({
  clock: systemClock,
  size: 2,
  extractMs: 60_000,
  heapBytes: 512 * MIB,
  limits: LIMITS,
});
const read = (): Promise<unknown> => pool.extract(files.pdf, place);
const EACH = 8;
const oneByOne = async (): Promise<void> => {
  for (let count = 0; count < EACH; count++) await read();
};
await Promise.all([read(), read()]);
const whole = await seconds(() => pool.extract(files.text, place));
const ratios: number[] = [];
for (let round = 0; round < 3; round++) {
  const alone = await seconds(oneByOne);
  const both = await seconds(() => Promise.all([oneByOne(), oneByOne()]));
  ratios.push((2 * alone) / both);
}
console.log(`10 MB of plain text to the record, in a child process: ${whole.toFixed(2)} s`);
console.log(`two at once against one: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')} times (wanted: 1.7)`);

const folder = mkdtempSync(join(tmpdir(), 'sealdex-bench-'));
try {
  writeFileSync(join(folder, 'pages.pdf'), pdf);
  const theirs = execFileSync('pdftotext', [join(folder, 'pages.pdf'), '-'], { maxBuffer: 64 * MIB }).toString();
  const { sections } = await extract(files.pdf, TEXT);
  const found = sections.map((section) => section.text ?? '').join('\n');
  const wordsOf = (all: string): string[] => all.match(/\w+/g) ?? [];
  const known = wordsOf(pages.flat().join('\n'));
  const isInOrder = wordsOf(found).join(' ') === known.join(' ');
  console.log(
    `of ${known.length} words put in, sealdex finds ${wordsOf(found).length}${isInOrder ? ', all in order' : ', NOT in order'}; pdftotext finds ${wordsOf(theirs).length} (wanted: 98 % of its words)`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
