// Input of the demo: the selection of package files.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packagesFolder, readFiles, readPages } from '../../src/demo/files.ts';

const { signal } = new AbortController();
const LONG = 'Some words of a page. '.repeat(60);

let root = '';
let folder = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sealdex-files-'));
  folder = join(root, 'node_modules');
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function put(path: string, content: string | Buffer = `${LONG}${path}`): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

const paths = async (max?: number): Promise<string[]> =>
  (await readPages(folder, signal, max)).map(({ path }) => path).toSorted();

describe('pages', () => {
  test('are text files of packages, of scopes, of nested packages and of linked packages', async () => {
    const pages = ['@scope/b/CHANGELOG.markdown', 'a/LICENSE', 'a/docs/page.txt', 'a/node_modules/c/readme'];
    for (const page of pages) await put(page);
    for (const other of ['.cache/x/README.md', 'a/.github/README.md', 'a/index.js', 'a/test/README.md'])
      await put(other);
    await mkdir(join(root, 'linked'));
    await writeFile(join(root, 'linked/README.md'), LONG);
    await symlink(join(root, 'linked'), join(folder, 'd'));
    expect(await paths()).toEqual([...pages, 'd/README.md']);
  });

  test('are different UTF-8 texts of 1 to 200 KiB', async () => {
    await put('a/README.md', LONG);
    await put('b/README.md', LONG);
    await put('c/README.md', 'too small');
    await put('d/README.md', 'x'.repeat(201 * 1024));
    await put('e/README.md', Buffer.concat([Buffer.from([0xff]), Buffer.from(LONG)]));
    await put('f/README.md', '\n'.repeat(2000));
    expect(await paths()).toHaveLength(1);
  });

  test('are the same selection, regardless of the order of the folders', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `p${index}/README.md`);
    for (const name of names) await put(name);
    const few = await paths(7);
    expect(few).toHaveLength(7);
    await rm(folder, { recursive: true });
    for (const name of names.toReversed()) await put(name);
    expect(await paths(7)).toEqual(few);
  });

  test('are not read after an abort', async () => {
    await put('a/README.md');
    await expect(readPages(folder, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });
});

describe('files', () => {
  test('are some of each text type, all examples, and one truncated example', async () => {
    const pages = Array.from({ length: 10 }, (_, at) => [`a/${at}.md`, `a/${at}.txt`]).flat();
    for (const page of pages) await put(page);
    await put('a/shows.html', `<head><title>${LONG}</title></head><p>${LONG}</p>`);
    await put('a/script.html', `<head><title>${LONG}</title></head><script>${LONG}</script>`);
    await put('../examples/parking.pdf', '0123456789');
    await put('../examples/b.odt', 'b');
    const files = await readFiles(folder, await readPages(folder, signal), signal, join(root, 'examples'));
    expect(files.slice(0, 12).map(({ path }) => extname(path))).toEqual([
      ...Array(6).fill('.md'),
      ...Array(6).fill('.txt'),
    ]);
    expect(files.slice(12).map(({ path, bytes }) => [path, bytes.length])).toEqual([
      ['a/shows.html', expect.any(Number)],
      ['b.odt', 1],
      ['parking.pdf', 10],
      ['truncated/parking.pdf', 5],
    ]);
  });

  test('from a checkout are 300 pages and a dozen types', async () => {
    const pages = await readPages(packagesFolder(), signal);
    expect(pages).toHaveLength(300);
    const files = await readFiles(packagesFolder(), pages, signal);
    const types = new Set(files.map(({ path }) => extname(path)));
    for (const type of ['.md', '.html', '.doc', '.docx', '.eml', '.epub', '.odt', '.pdf', '.ppt', '.pptx', '.rtf'])
      expect(types).toContain(type);
  });
});
