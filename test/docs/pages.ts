// The pages for readers, and their links.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const fileOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Everything below docs/, sorted. */
export const DOCS: readonly string[] = readdirSync(join(ROOT, 'docs'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join('docs', entry.parentPath.slice(join(ROOT, 'docs').length), entry.name))
  .toSorted();

export const PAGES: readonly string[] = ['README.md', 'CHANGELOG.md', ...DOCS];

/** The files linked from a page, relative to the root. */
export const linksOf = (page: string): string[] =>
  [...fileOf(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => join(dirname(page), target));

/** The anchors of a page's headings on GitHub. */
export const anchorsOf = (page: string): string[] =>
  [...fileOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(/\s/g, '-'),
  );
