// The files that the demo uploads: which are taken, what is told of them, and how one is drawn.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { CorpusFile } from '../../src/demo/corpus.ts';
import { EXAMPLES, NODE_MODULES } from '../../src/demo/demo.ts';
import { outlineOf } from '../../src/demo/outline.ts';
import { readUploads, type UploadFile } from '../../src/demo/upload-files.ts';
import { wordsOfUploads } from '../../src/demo/uploads.ts';
import { picture, read, sent, type Shown } from '../../src/demo/uploads-story.ts';

const { signal } = new AbortController();

const pageAt = (path: string): CorpusFile => ({ path, package: 'a', version: '1.0.0', text: 'text', bytes: 4 });

const told = (tell: (screen: { say(line: string): void; columns?: number }) => void, columns?: number): string[] => {
  const lines: string[] = [];
  tell({ say: (line) => lines.push(line), ...(columns === undefined ? {} : { columns }) });
  return lines;
};

test('a few pages of each kind are taken, HTML that shows text, every example, and one of those cut off', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sealdex-uploads-'));
  try {
    const pages = [...Array(30).keys()].flatMap((at) => [pageAt(`a/${at}.md`), pageAt(`a/${at}.txt`)]);
    const head = `<html><head><title>${'title '.repeat(50)}</title></head><body>`;
    const files: Record<string, string> = {
      ...Object.fromEntries(pages.map(({ path }) => [`node_modules/${path}`, `page at ${path}`])),
      'node_modules/a/shows.html': `${head}<p>What somebody who opens this page sees of it.</p>`,
      'node_modules/a/script.html': `${head}<script>document.write('nobody sees this but a browser')</script>`,
      'examples/parking.pdf': '0123456789',
      'examples/b.odt': 'b',
    };
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    const places = { nodeModules: join(folder, 'node_modules'), examples: join(folder, 'examples') };
    const taken = await readUploads(places, pages, signal);
    const ids = taken.map(({ id }) => id);
    expect(ids).toEqual([
      ...[0, 5, 10, 15, 20, 25].map((at) => `a/${at}.md`),
      ...[0, 5, 10, 15, 20, 25].map((at) => `a/${at}.txt`),
      'a/shows.html',
      'examples/files/b.odt',
      'examples/files/parking.pdf',
      'cut off: parking.pdf',
    ]);
    expect(new Set(ids).size).toBe(ids.length);
    expect(String(taken[0]?.bytes)).toBe('page at a/0.md');
    expect(taken.filter(({ isCutOff }) => isCutOff).map(({ bytes }) => String(bytes))).toEqual(['01234']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('the examples are there, of nine types', async () => {
  const taken = await readUploads({ nodeModules: NODE_MODULES, examples: EXAMPLES }, [], signal);
  const kinds = new Set(taken.map(({ filename }) => filename.slice(filename.lastIndexOf('.'))));
  for (const kind of ['.doc', '.docx', '.eml', '.epub', '.odt', '.pdf', '.ppt', '.pptx', '.rtf'])
    expect(kinds).toContain(kind);
});

const file = (filename: string, text = 'x', isCutOff = false): UploadFile => ({
  id: `folder/${filename}`,
  filename,
  bytes: Buffer.from(text),
  isCutOff,
});

test('words of a file are found in its name, as they stand, and in base64', () => {
  const hidden = Buffer.from('a peregrination in it').toString('base64');
  const found = wordsOfUploads([file('understandings.txt', 'has internationally'), file('b.eml', hidden)]);
  expect([...found].toSorted()).toEqual(['internationally', 'peregrination', 'understandings']);
});

test('how many files of which kinds were sent is told, and that one is cut off', () => {
  const files = [
    file('README.md'),
    file('b.md'),
    file('LICENSE'),
    file('c.doc'),
    file('d.eml'),
    file('e.pdf', 'x', true),
  ];
  expect(told((screen) => sent(screen, files)).join()).toContain(
    'Beside them 6 files were uploaded as they are, 0.0 MB, and wait encrypted too: ' +
      '2 Markdown; one each of DOC, e-mail and plain text; a PDF that was cut off in the middle.',
  );
  expect(told((screen) => read(screen, { files: 6, types: 4, stored: 5, dead: 1 })).join()).toContain(
    '5 of 6, in 4 formats',
  );
});

const part = (section: number, breadcrumb: string[], text: string, isTitle = false) => ({
  text,
  metadata: { section, breadcrumb, is_title: isTitle },
});

test('parts become sections again: titles by their depth, and the lines of their text', () => {
  const parts = [
    part(1, [], 'Top', true),
    part(1, [], 'A sentence. '),
    part(1, [], 'Another\none.\n\n'),
    part(2, ['Top'], 'Below', true),
    part(3, [], 'without  a\ttitle'),
  ];
  expect(outlineOf(parts)).toEqual([
    { title: 'Top', depth: 0, lines: ['A sentence. Another', 'one.'] },
    { title: 'Below', depth: 1, lines: [] },
    { title: undefined, depth: 0, lines: ['without a title'] },
  ]);
});

const SHOWN: Shown = {
  tenant: 'acme',
  id: 'a.doc',
  contentType: 'application/msword',
  bytes: 16_384,
  title: 'Fair share',
  metadata: { author: 'Ada Example', pages: 3, to: ['Ben Example'] },
  parts: [...Array(25).keys()],
  outline: [...Array(8).keys()].map((at) => ({
    title: `Section ${at}`,
    depth: at === 1 ? 1 : 0,
    lines: [`line ${at} `.repeat(20), 'second', 'third'],
  })),
};

test.each([40, 80, 100, undefined])('the picture of a file is no wider than a screen of %s columns', (columns) => {
  const lines = told((screen) => picture(screen, SHOWN), columns).slice(1);
  const widest = Math.max(...lines.map((line) => line.length));
  expect(widest).toBeLessThanOrEqual(columns ?? 80);
  // As wide as it may be, but for a space where it was cut.
  expect(widest).toBeGreaterThan((columns ?? 80) - 3);
  expect(lines.every((line) => line.startsWith('  |'))).toBe(true);
});

test('the picture shows what the file says of itself, and the first lines of its first sections', () => {
  const lines = told((screen) => picture(screen, SHOWN), 80);
  expect(lines.slice(0, 11)).toEqual([
    'What came back of a.doc, which belongs to acme:',
    '  | type: application/msword, 16,384 bytes',
    '  | title: Fair share',
    '  | author: Ada Example',
    '  | pages: 3',
    '  | to: ["Ben Example"]',
    '  |',
    '  | # Section 0',
    `  |   ${'line 0 '.repeat(10)}l...`,
    '  |   second',
    '  |   # Section 1',
  ]);
  expect(lines.join('\n')).not.toMatch(/third|Section 6/);
  expect(lines.at(-1)).toBe('  | First lines of 6 of 8 sections, 25 parts.');
});
