// `sealdex upload`: files and folders into the queue, the output for failed files, and stored originals.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createReader, type Reader } from '../../src/app/app.ts';
import { FILE_REASONS, unsupported } from '../../src/extract/reasons.ts';
import { withMark } from '../../src/runtime/sentences.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf, noticesOf, type Ended } from './output.ts';
import { startInProcess } from './in-process.ts';
import { temporaryFolder, type Folder } from './temporary-folder.ts';
import { JOB, openScene, type Scene } from './fixture.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples/files', import.meta.url));
const PDF = readFileSync(join(EXAMPLES, 'parking.pdf'));
const LIMIT = 100 * 1024;
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');

let scene: Scene;
let folder: Folder;
let reader: Reader;
let corpora = 0;
let corpus = '';

beforeAll(async () => {
  folder = temporaryFolder();
  scene = await openScene({ SEALDEX_FILE_BYTES: LIMIT });
  reader = await createReader(scene.settings);
  await scene.startWorker();
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await reader[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

beforeEach(() => {
  corpus = `c${corpora++}`;
});

function file(name: string, content: string | Uint8Array): string {
  mkdirSync(dirname(join(folder.path, name)), { recursive: true });
  writeFileSync(join(folder.path, name), content);
  return name;
}

const upload = (...args: string[]): Promise<Ended> =>
  scene.sealdex(['upload', '--tenant', 'acme', '--corpus', corpus, ...args], { cwd: folder.path });

async function stored(): Promise<string[]> {
  const { documents } = await reader.list({ tenant: 'acme', corpus, metadata: true });
  return documents.map(({ document }) => document?.id ?? '?').sort();
}

const headOf = (id: string) => reader.metadata({ tenant: 'acme', corpus, id });

/** The rows under FILE, STATE and REASON, and the lines below them. */
function tableOf(stderr: string): { rows: string[][]; rest: string[] } {
  const lines = noticesOf(stderr);
  const from = lines.findIndex((line) => /^FILE +STATE +REASON$/.test(line));
  // A reason continues on the lines below it.
  const text = lines.slice(from + 1, -1).join('\n');
  const cells = linesOf(text.replaceAll(/\n {2,}/g, ' ')).map((line) => line.split(/ {2,}/));
  return {
    rows: from < 0 ? [] : cells.toSorted(([one = ''], [other = '']) => (one < other ? -1 : 1)),
    rest: lines.slice(-1),
  };
}

describe('upload', () => {
  test('stores the files of a folder and single files under the given paths', async () => {
    file('letters/one.txt', 'The first letter.');
    file('letters/deep/two.md', '# Two\n\nThe second letter.');
    file('parking.pdf', PDF);
    const { code, stdout, stderr } = await upload('--wait', 'letters', 'parking.pdf');
    expect(noticesOf(stderr).at(-1)).toBe('3 stored.');
    expect(code).toBe(0);
    const lines = linesOf(stdout).map((line) => line.split('  '));
    for (const [status, job] of lines) expect([status, job]).toEqual(['queued', expect.stringMatching(JOB)]);
    const paths = ['letters/deep/two.md', 'letters/one.txt', 'parking.pdf'];
    expect(lines.map(([, , path]) => path)).toEqual(paths);
    expect(await stored()).toEqual(paths);
    for (const path of paths)
      expect(await headOf(path)).toMatchObject({ id: path, type: 'file', source: { filename: basename(path) } });
  });

  test('replaces the document of the same path', async () => {
    const path = file('again.txt', 'Before.');
    expect((await upload('--wait', path)).code).toBe(0);
    const before = await headOf(path);
    file(path, 'And after.');
    expect((await upload('--wait', path)).code).toBe(0);
    const after = await headOf(path);
    expect(after.revision).toBeGreaterThan(before.revision);
    expect(after).toMatchObject({ source: { bytes: 10 } });
    expect(await stored()).toEqual([path]);
  });
});

describe('upload rejects wrong paths before anything is sent:', () => {
  test('exits with 64 for the same file given twice', async () => {
    file('twice/a.txt', 'Once.');
    expect(await upload('twice', 'twice/a.txt')).toMatchObject({
      code: 64,
      stdout: '',
      stderr: 'sealdex: twice/a.txt is given more than once. The path is the document id, so it must be unique.\n',
    });
    expect(await stored()).toEqual([]);
  });

  test('exits with 66 for a missing file', async () => {
    expect(await upload(file('here.txt', 'Here.'), 'missing.pdf')).toMatchObject({
      code: 66,
      stdout: '',
      stderr: 'sealdex: missing.pdf: file not found.\n',
    });
    expect(await stored()).toEqual([]);
  });
});

describe('files that cannot be read do not stop the others:', () => {
  const mixed = (): string[] => [
    file('mixed/big.txt', 'x'.repeat(LIMIT + 1)),
    file('mixed/cut.pdf', PDF.subarray(0, 20_000)),
    file('mixed/empty.txt', ''),
    file('mixed/good.txt', 'All is well.'),
    file('mixed/image.png', PNG),
  ];

  test('a table gives the reasons, and the exit code is 65', async () => {
    mixed();
    const { code, stderr } = await upload('--wait', 'mixed');
    const { rows, rest } = tableOf(stderr);
    expect(rows).toEqual([
      ['mixed/big.txt', 'refused', 'The file exceeds 100KiB (FILE_TOO_LARGE). Split it.'],
      ['mixed/cut.pdf', 'dead', withMark(FILE_REASONS.damaged.message, 'FILE_UNREADABLE')],
      ['mixed/empty.txt', 'refused', withMark(FILE_REASONS.empty.message, 'FILE_NO_TEXT empty')],
      ['mixed/image.png', 'dead', withMark(unsupported('image/png').message, 'FILE_UNSUPPORTED')],
    ]);
    expect(rest).toEqual(['1 stored, 2 dead, 2 refused.']);
    expect(code).toBe(65);
    expect(await stored()).toEqual(['mixed/good.txt']);
  });

  test('--json prints JSON lines, and the counts are the last line', async () => {
    const paths = mixed();
    const { code, stdout, stderr } = await upload('--json', '--wait', ...paths);
    expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 65, notices: [] });
    const lines = jsonOf(stdout);
    expect(lines.pop()).toEqual({
      queued: 3,
      refused: 2,
      failed: 0,
      done: 1,
      superseded: 0,
      dead: 2,
      parked: 0,
      unfinished: 0,
    });
    const ends = lines.filter(({ state }) => state !== undefined);
    expect(lines.filter(({ state }) => state === undefined).map(({ file: path, status }) => [path, status])).toEqual([
      ['mixed/big.txt', 'refused'],
      ['mixed/cut.pdf', 'queued'],
      ['mixed/empty.txt', 'refused'],
      ['mixed/good.txt', 'queued'],
      ['mixed/image.png', 'queued'],
    ]);
    const jobId = expect.stringMatching(JOB) as string;
    expect(ends.toSorted((one, other) => (String(one['file']) < String(other['file']) ? -1 : 1))).toEqual([
      { file: 'mixed/cut.pdf', jobId, state: 'dead', code: 'FILE_UNREADABLE', reason: 'damaged' },
      { file: 'mixed/good.txt', jobId, state: 'done' },
      { file: 'mixed/image.png', jobId, state: 'dead', code: 'FILE_UNSUPPORTED', reason: 'image/png' },
    ]);
  });
});

describe('Ctrl-C', () => {
  test('stops the uploads in progress, prints how many files were not uploaded, and leaves nothing of them', async () => {
    using _real = realDeadlines({ promptMs: 5000 });
    for (let at = 0; at < 6; at++) file(`many/${at}.txt`, 'x'.repeat(LIMIT));
    const { faults, requests } = scene.services.s3;
    faults.set({ match: { method: 'PUT', prefix: 'intake/' }, fault: { kind: 'hang' } });
    const args = ['upload', '--tenant', 'acme', '--corpus', corpus, 'many'];
    await using uploading = startInProcess(args, { settings: scene.settings, cwd: folder.path });
    const before = requests.count({ method: 'PUT', prefix: 'intake/' });
    await eventually(() => requests.count({ method: 'PUT', prefix: 'intake/' }) > before);
    uploading.kill('SIGINT');
    const { code, stdout, stderr } = await uploading.ended;
    faults.clear();
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(noticesOf(stderr)).toContain('Stopped. 6 of 6 files were not uploaded.');
    const { upload: queue } = await scene.operator.status();
    expect([queue.waiting, queue.active, queue.delayed]).toEqual([0, 0, 0]);
  });
});

describe('sealdex read --original', () => {
  const read = (id: string): string[] => ['read', '--tenant', 'acme', '--corpus', corpus, id, '--original'];

  test('returns the original bytes for a tenant that keeps originals, and exits with 66 for older documents', async () => {
    const path = file('kept.pdf', PDF);
    expect((await upload('--wait', path)).code).toBe(0);
    expect(await scene.sealdex(read(path))).toMatchObject({ code: 66, stdout: '' });
    expect((await scene.sealdex(['tenants', 'put', 'acme', '--keep-originals', 'yes'])).code).toBe(0);
    expect((await upload('--wait', path)).code).toBe(0);
    await using reading = startInProcess(read(path), { settings: scene.settings });
    expect((await reading.ended).code).toBe(0);
    expect(reading.bytes().equals(PDF)).toBe(true);
  });
});
