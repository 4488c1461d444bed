// The demo's documents: the pages of text that the installed packages bring along, the same ones on every machine.
// Reads node_modules and nothing else; knows nothing of tenants and jobs.
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

export interface CorpusFile {
  /** Below node_modules, with forward slashes. */
  readonly path: string;
  readonly package: string;
  readonly version: string;
  readonly text: string;
  /** Of the file. */
  readonly bytes: number;
}

export interface CorpusBounds {
  readonly files: number;
  readonly leastBytes: number;
  readonly mostBytes: number;
}

const BOUNDS: CorpusBounds = { files: 300, leastBytes: 1024, mostBytes: 200 * 1024 };

const PAGE =
  /\.(?:md|markdown|txt)$|^(?:readme|changelog|changes|history|licen[cs]e|notice|contributing)(?:-[a-z0-9]+)?$/i;
const NOT_PAGES = new Set(['test', 'tests', '__tests__', 'fixtures', 'node_modules']);
const DEEPEST_FOLDER = 8;
const MOST_CANDIDATES = 5000;

interface Candidate {
  readonly path: string;
  /** The package's folder, below node_modules. */
  readonly home: string;
}

/**
 * At most `files` different files in the order of their paths. Which ones of a larger number is chosen by content, so
 * that neither the machine nor the order of its folders decides. `names` is what their names match.
 */
export async function readCorpus(
  nodeModules: string,
  signal: AbortSignal,
  bounds: CorpusBounds = BOUNDS,
  names: RegExp = PAGE,
): Promise<CorpusFile[]> {
  const candidates: Candidate[] = [];
  for await (const candidate of filesBelow(nodeModules, '', signal))
    if (names.test(basename(candidate.path))) candidates.push(candidate);
  const inOrder = candidates.sort((a, b) => order(a.path, b.path)).slice(0, MOST_CANDIDATES);
  const byHash = new Map<string, { candidate: Candidate; text: string; bytes: number }>();
  for (const candidate of inOrder) {
    signal.throwIfAborted();
    const bytes = await contentOf(join(nodeModules, candidate.path), bounds);
    const text = bytes && textOf(bytes);
    if (bytes === undefined || text === undefined) continue;
    const hash = createHash('sha256').update(bytes).digest('hex');
    if (!byHash.has(hash)) byHash.set(hash, { candidate, text, bytes: bytes.length });
  }
  const chosen = [...byHash].sort(([a], [b]) => order(a, b)).slice(0, bounds.files);
  const files = chosen.map(async ([, { candidate, ...content }]): Promise<CorpusFile> => {
    return { path: candidate.path, ...(await identityOf(nodeModules, candidate.home)), ...content };
  });
  return (await Promise.all(files)).sort((a, b) => order(a.path, b.path));
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Every package of a node_modules folder, those of scopes and those inside others included. Links are not followed. */
async function* filesBelow(root: string, folder: string, signal: AbortSignal): AsyncGenerator<Candidate> {
  for (const name of await foldersOf(join(root, folder))) {
    const path = folder === '' ? name : `${folder}/${name}`;
    const homes = name.startsWith('@')
      ? (await foldersOf(join(root, path))).map((inner) => `${path}/${inner}`)
      : [path];
    for (const home of homes) yield* filesOf(root, home, home, 1, signal);
  }
}

async function* filesOf(
  root: string,
  home: string,
  folder: string,
  depth: number,
  signal: AbortSignal,
): AsyncGenerator<Candidate> {
  signal.throwIfAborted();
  for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isFile()) yield { path, home };
    if (!entry.isDirectory() || depth === DEEPEST_FOLDER) continue;
    if (entry.name === 'node_modules') yield* filesBelow(root, path, signal);
    else if (!NOT_PAGES.has(entry.name) && !entry.name.startsWith('.'))
      yield* filesOf(root, home, path, depth + 1, signal);
  }
}

async function foldersOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
}

async function contentOf(file: string, bounds: CorpusBounds): Promise<Buffer | undefined> {
  const { size } = await stat(file);
  return size < bounds.leastBytes || size > bounds.mostBytes ? undefined : readFile(file);
}

/** undefined for what is no UTF-8, or nothing but white space. */
function textOf(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.trim() === '' ? undefined : text;
  } catch {
    return undefined;
  }
}

async function identityOf(root: string, home: string): Promise<{ package: string; version: string }> {
  const fallback = { package: home, version: 'unknown' };
  try {
    const { name, version } = JSON.parse(await readFile(join(root, home, 'package.json'), 'utf8')) as {
      name?: unknown;
      version?: unknown;
    };
    return {
      package: typeof name === 'string' ? name : fallback.package,
      version: typeof version === 'string' ? version : fallback.version,
    };
  } catch {
    return fallback;
  }
}

/** Whether the file is written in Markdown; others have no headings. */
export const isMarkdown = ({ path }: Pick<CorpusFile, 'path'>): boolean => /\.(?:md|markdown)$/i.test(basename(path));
