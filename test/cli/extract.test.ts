// `sealdex extract`: the record of a file as a worker would store it, without settings, and the reasons for failures.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FILE_REASONS } from '../../src/extract/reasons.ts';
import { makePdf } from '../../packages/extract/test/make-pdf.ts';
import { runInProcess } from './in-process.ts';
import { jsonOf, noticesOf, type Ended } from './output.ts';
import { temporaryFolder, type Folder } from './temporary-folder.ts';
import { openScene } from './fixture.ts';

const PATH = fileURLToPath(new URL('../../examples/files/parking.pdf', import.meta.url));
const PDF = readFileSync(PATH);
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');

let folder: Folder;

beforeAll(() => {
  folder = temporaryFolder();
});

afterAll(() => folder[Symbol.dispose]());

/** The environment is a PATH and the given variables. */
const extract = (args: readonly string[], env: Record<string, string> = {}): Promise<Ended> =>
  runInProcess(['extract', ...args], { cwd: folder.path, env });

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder.path, name), content);
  return name;
}

describe('extract', () => {
  test('needs no settings, and prints no document path unless one is given', async () => {
    const { code, stdout, stderr } = await extract([file('note.txt', 'Some text.')]);
    expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 0, notices: [] });
    const [head, ...parts] = jsonOf(stdout);
    expect(head).toMatchObject({
      tenant: '',
      corpus: '',
      id: '',
      revision: 0,
      type: 'file',
      source: { filename: 'note.txt', contentType: 'text/plain', bytes: 10 },
      parts: 1,
    });
    expect(parts).toMatchObject([{ text: 'Some text.' }]);
  });

  test('prints the given tenant, corpus and id', async () => {
    const place = ['--tenant', 'acme', '--corpus', 'docs', '--id', 'letter-1'];
    const { code, stdout } = await extract([file('letter.txt', 'A letter.'), ...place]);
    expect(code).toBe(0);
    expect(jsonOf(stdout)[0]).toMatchObject({ tenant: 'acme', corpus: 'docs', id: 'letter-1', revision: 0 });
  });

  test('prints what a worker stores for the same file', async () => {
    await using scene = await openScene();
    await scene.startWorker();
    const place = ['--tenant', 'acme', '--corpus', 'docs'];
    expect((await scene.sealdex(['upload', ...place, '--wait', PATH])).code).toBe(0);
    const [storedHead, ...storedParts] = jsonOf((await scene.sealdex(['read', ...place, PATH, '--json'])).stdout);
    const [head, ...parts] = jsonOf((await extract([PATH, ...place, '--id', PATH])).stdout);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts).toEqual(storedParts);
    expect({ ...head, revision: storedHead?.['revision'] }).toEqual(storedHead);
  });
});

describe('extract', () => {
  test.each([
    ['an encrypted PDF', 'locked.pdf', makePdf({ pages: [['Secret.']], password: 'open' }), 'pdf-encrypted'],
    ['a PDF cut off', 'cut.pdf', PDF.subarray(0, 20_000), 'damaged'],
    ['an empty file', 'empty.txt', '', 'empty'],
  ] as const)('exits with 65 and the reason for %s', async (_, name, content, reason) => {
    const { code, stdout, stderr } = await extract([file(name, content)]);
    expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
    const { code: reasonCode, message } = FILE_REASONS[reason];
    const [line = '', ...more] = noticesOf(stderr);
    expect(more).toEqual([]);
    expect(line.replace(new RegExp(` \\(${reasonCode}\\b[^)]*\\)`), '')).toBe(`sealdex: ${message}`);
    expect(line).toContain(` (${reasonCode}`);
  });

  test('exits with 65 and names an unsupported file type', async () => {
    const { code, stdout, stderr } = await extract([file('image.png', PNG)]);
    expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
    expect(noticesOf(stderr)).toEqual([
      'sealdex: File type image/png is not supported (FILE_UNSUPPORTED). Convert the file to a supported type.',
    ]);
  });

  test('exits with 65 for a file over SEALDEX_FILE_BYTES', async () => {
    const { code, stderr } = await extract([file('big.txt', 'x'.repeat(1025))], { SEALDEX_FILE_BYTES: '1024' });
    expect(code).toBe(65);
    expect(stderr).toBe('sealdex: The file exceeds the size limit (FILE_TOO_LARGE). Split it.\n');
  });

  test('exits with 66 for a pipe or a device, which may never end', async () => {
    execFileSync('mkfifo', [join(folder.path, 'pipe')]);
    for (const path of ['pipe', '/dev/zero'])
      expect(await extract([path])).toMatchObject({
        code: 66,
        stdout: '',
        stderr: `sealdex: ${path}: is not a regular file.\n`,
      });
  });

  test('exits with 66 for a missing file and with 64 without a file', async () => {
    expect(await extract(['missing.pdf'])).toMatchObject({
      code: 66,
      stdout: '',
      stderr: 'sealdex: missing.pdf: file not found.\n',
    });
    expect(await extract([])).toMatchObject({ code: 64, stdout: '' });
  });
});
