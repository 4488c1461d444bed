// Input of the demo: text and HTML files of the installed packages, and the files in examples/files.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A text file of an installed package. */
export interface Page {
  /** Below node_modules, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** A file to upload. */
export interface SourceFile {
  readonly path: string;
  readonly bytes: Buffer;
}

const MAX_PAGES = 300;
const MIN_BYTES = 256;
const MAX_BYTES = 200 * 1024;
const FILES_OF_A_TYPE = 6;
const MIN_HTML_WORDS = 5;
const TRUNCATED = 'parking.pdf';

const PAGE = /\.(?:md|markdown|txt)$|^(?:readme|changelog|history|licen[cs]e|notice|contributing)(?:-[a-z0-9]+)?$/i;
const HTML = /\.html?$/i;
const SKIPPED_FOLDER = /(?:^|\/)(?:\.[^/]*|tests?|__tests__|fixtures)\//;

/** At the same place in a checkout and in the package. */
const EXAMPLES = fileURLToPath(new URL('../../examples/files/', import.meta.url));

export const isMarkdown = ({ path }: Pick<Page, 'path'>): boolean => /\.(?:md|markdown)$/i.test(path);

/** The nearest node_modules folder with the packages of sealdex: in a checkout, or around the installed package. */
export function packagesFolder(): string {
  const folders = createRequire(import.meta.url).resolve.paths('ioredis') ?? [];
  const found = folders.find((folder) => existsSync(join(folder, 'ioredis')));
  if (found === undefined) throw new Error('The demo found no node_modules folder with the packages of sealdex.');
  return found;
}

/** At most `max` different pages of 256 bytes to 200 KiB. The hashes of their paths decide which, so all installs agree. */
export async function readPages(folder: string, signal: AbortSignal, max: number = MAX_PAGES): Promise<Page[]> {
  const byText = new Map<string, Page>();
  for await (const page of textFiles(folder, PAGE, signal)) {
    if (!byText.has(page.text)) byText.set(page.text, page);
    if (byText.size === max) break;
  }
  return [...byText.values()];
}

/** Some Markdown, plain text and HTML, all examples, and one example without its second half. */
export async function readFiles(
  folder: string,
  pages: readonly Page[],
  signal: AbortSignal,
  examples: string = EXAMPLES,
): Promise<SourceFile[]> {
  const html: Page[] = [];
  for await (const file of textFiles(folder, HTML, signal)) {
    if (showsText(file.text)) html.push(file);
    if (html.length === FILES_OF_A_TYPE) break;
  }
  const some = (isOfType: (page: Page) => boolean): Page[] => pages.filter(isOfType).slice(0, FILES_OF_A_TYPE);
  const texts = [...some(isMarkdown), ...some((page) => !isMarkdown(page)), ...html];
  const names = (await readdir(examples)).toSorted();
  const whole = await Promise.all(names.map(async (path) => ({ path, bytes: await readFile(join(examples, path)) })));
  const truncated = whole
    .filter(({ path }) => path === TRUNCATED)
    .map(({ path, bytes }) => ({ path: `truncated/${path}`, bytes: bytes.subarray(0, bytes.length / 2) }));
  return [...texts.map(({ path, text }) => ({ path, bytes: Buffer.from(text) })), ...whole, ...truncated];
}

/** UTF-8 files whose name matches, in the order of the hashes of their paths. */
async function* textFiles(folder: string, name: RegExp, signal: AbortSignal): AsyncGenerator<Page> {
  const paths = (await filesBelow(folder)).filter((path) => name.test(basename(path)) && !SKIPPED_FOLDER.test(path));
  const hashed = paths.map((path) => `${createHash('sha256').update(path).digest('hex')} ${path}`);
  for (const path of hashed.toSorted().map((each) => each.slice(each.indexOf(' ') + 1))) {
    signal.throwIfAborted();
    const bytes = await readFile(join(folder, path));
    const text = bytes.length < MIN_BYTES || bytes.length > MAX_BYTES ? '' : bytes.toString();
    if (text.trim() !== '' && !text.includes('\uFFFD')) yield { path, text };
  }
}

/** The files of each package; packages may be links. */
async function filesBelow(folder: string): Promise<string[]> {
  const homes: string[] = [];
  for (const name of await readdir(folder))
    if (name.startsWith('@')) homes.push(...(await readdir(join(folder, name))).map((inner) => `${name}/${inner}`));
    else if (!name.startsWith('.')) homes.push(name);
  const paths: string[] = [];
  for (const home of homes)
    for (const entry of await readdir(join(folder, home), { withFileTypes: true, recursive: true }))
      if (entry.isFile()) paths.push(join(entry.parentPath, entry.name).slice(folder.length + 1));
  return paths.map((path) => path.replaceAll('\\', '/'));
}

/** Some HTML files consist of scripts only. */
function showsText(html: string): boolean {
  const text = html.replaceAll(/<(script|style|head)\b[\s\S]*?<\/\1\s*>|<!--[\s\S]*?-->|<[^>]*>/gi, ' ');
  return (text.match(/[a-z]{3,}/gi) ?? []).length >= MIN_HTML_WORDS;
}
