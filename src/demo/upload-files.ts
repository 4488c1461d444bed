// The files that the demo uploads: pages of the installed packages, and what examples/files/ holds.
// Reads them and nothing else; knows nothing of tenants and jobs.
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type CorpusFile, isMarkdown, readCorpus } from './corpus.ts';

export interface UploadFile {
  /** The id of its document: where it is. */
  readonly id: string;
  readonly filename: string;
  readonly bytes: Buffer;
  /** Deliberately: it can never be read. */
  readonly isCutOff: boolean;
}

const OF_A_KIND = 6;
const HTML = /\.html?$/i;
const HTML_BOUNDS = { files: 50, leastBytes: 256, mostBytes: 200 * 1024 };
const LEAST_LETTERS = 20;
const CUT_OFF = 'parking.pdf';

export interface UploadPlaces {
  readonly nodeModules: string;
  readonly examples: string;
}

/** A few of each kind of page, every example, and one of those once more, cut off in the middle. */
export async function readUploads(
  { nodeModules, examples }: UploadPlaces,
  pages: readonly CorpusFile[],
  signal: AbortSignal,
): Promise<UploadFile[]> {
  const html = (await readCorpus(nodeModules, signal, HTML_BOUNDS, HTML)).filter(({ text }) => showsText(text));
  const chosen = [pages.filter(isMarkdown), pages.filter((page) => !isMarkdown(page)), html].flatMap(spread);
  const names = (await readdir(examples)).toSorted();
  const found = await Promise.all([
    ...chosen.map(({ path }) => fileAt(join(nodeModules, path), path, signal)),
    ...names.map((name) => fileAt(join(examples, name), `examples/files/${name}`, signal)),
  ]);
  const whole = found.find(({ filename }) => filename === CUT_OFF);
  return whole ? [...found, cutOff(whole)] : found;
}

const fileAt = async (path: string, id: string, signal: AbortSignal): Promise<UploadFile> => ({
  id,
  filename: basename(path),
  bytes: await readFile(path, { signal }),
  isCutOff: false,
});

const cutOff = ({ filename, bytes }: UploadFile): UploadFile => ({
  id: `cut off: ${filename}`,
  filename,
  bytes: bytes.subarray(0, Math.floor(bytes.length / 2)),
  isCutOff: true,
});

/** Not those of one package alone, which stand side by side. */
const spread = (files: readonly CorpusFile[]): CorpusFile[] =>
  files.filter(
    (_, at) => Math.floor((at * OF_A_KIND) / files.length) !== Math.floor(((at - 1) * OF_A_KIND) / files.length),
  );

/** Many pages of packages are nothing but a script. */
function showsText(html: string): boolean {
  const text = html
    .replaceAll(/<(script|style|head)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replaceAll(/<!--[\s\S]*?-->|<[^>]*>/g, '');
  return (text.match(/[a-z]/gi) ?? []).length >= LEAST_LETTERS;
}
