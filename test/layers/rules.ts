// Rules of the layout: compares a tree of source files with the table of imports. Reads no files.
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { hasDefaultExport, importsOf, isBarrel, type Import } from './imports.ts';
import { codeOf } from './source-text.ts';
import { ARROWS, type Arrow } from './table.ts';

/** Text by path below `src/`, as `queue/settle.ts`. */
export type Files = ReadonlyMap<string, string>;

export interface Packages {
  readonly dependencies: readonly string[];
  readonly devDependencies: readonly string[];
}

/** Packages that one place alone may import: a module, a folder, or one file. */
const SOLE_IMPORTERS: readonly { readonly name: RegExp; readonly at: string }[] = [
  { name: /^bullmq$/, at: 'queue' },
  { name: /^@aws-sdk\/client-kms$/, at: 'keys/aws' },
  { name: /^@aws-sdk\/client-sts$/, at: 'keys/aws' },
  { name: /^@aws-sdk\/client-s3$/, at: 'store/s3' },
];

const FORBIDDEN_NAMES = /^(?:utils?|helpers?|common|lib|types|managers?|service)$/;
const LONGEST_FILE_LINES = 300;

/** The module of a file: the innermost folder with a row, or `index`. Undefined for a file that belongs to none. */
export function moduleOf(path: string): string | undefined {
  if (path === 'index.ts') return 'index';
  const folders = path.split('/').slice(0, -1);
  const names = folders.map((_, depth) => folders.slice(0, depth + 1).join('/'));
  return names.findLast((name) => name !== 'index' && ARROWS.has(name));
}

/** Every fault, as `file:line: what is wrong`. */
export function faultsOf(files: Files, packages: Packages): string[] {
  const faults: string[] = [];
  const links = new Map<string, string[]>();
  for (const [path, source] of files) {
    const code = codeOf(source);
    const imports = importsOf(code);
    const module = moduleOf(path);
    if (module === undefined) faults.push(`${path}: belongs to no module of the table`);
    if (hasDefaultExport(code)) faults.push(`${path}: has a default export`);
    if (isBarrel(code) !== (path === 'index.ts')) {
      faults.push(`${path}: ${path === 'index.ts' ? 'holds more than an export list' : 'only re-exports: a barrel'}`);
    }
    const lines = source.trimEnd().split('\n').length;
    if (lines > LONGEST_FILE_LINES) faults.push(`${path}: has ${lines} lines, more than ${LONGEST_FILE_LINES}`);
    for (const name of forbiddenNames(path)) faults.push(`${path}: nothing is named ${name}`);
    links.set(
      path,
      imports.filter(isRelative).map((found) => fileOf(path, found)),
    );
    for (const found of imports) {
      const fault = isRelative(found)
        ? faultInside(path, module, found, files)
        : faultOutside(path, module, found, packages);
      if (fault !== undefined) faults.push(`${path}:${found.line}: ${fault}`);
    }
  }
  return [...faults, ...cyclesOf(links)];
}

/** Words of a path that say nothing. */
export const forbiddenNames = (path: string): string[] =>
  path
    .split('/')
    .flatMap((part) => part.split('.')[0] ?? [])
    .filter((name) => FORBIDDEN_NAMES.test(name));

const isRelative = ({ target }: Import): boolean => target.startsWith('.');

const fileOf = (from: string, { target }: Import): string => posix.join(posix.dirname(from), target);

function faultInside(path: string, module: string | undefined, found: Import, files: Files): string | undefined {
  const target = fileOf(path, found);
  if (found.how === 'require') return 'uses require';
  if (!files.has(target)) return `imports ${found.target}, which is no file of src`;
  const to = moduleOf(target);
  if (module === undefined || to === undefined || to === module) return undefined;
  const arrows = (ARROWS.get(module)?.arrows ?? []).filter((arrow) => leadsTo(arrow, target));
  if (arrows.length === 0) return `${module} may not import ${target}`;
  return arrows.some((arrow) => allows(arrow, found)) ? undefined : `${module} may import ${target} ${limitOf(arrows)}`;
}

/** Types are erased, so an arrow for dynamic imports also allows them. */
const allows = ({ only }: Arrow, { how }: Import): boolean => only === undefined || only === how || how === 'type';

const limitOf = (arrows: readonly Arrow[]): string =>
  `only ${arrows[0]?.only === 'type' ? 'as types' : 'by dynamic import'}`;

function leadsTo({ to }: Arrow, target: string): boolean {
  return target === `${to}.ts` || (target.startsWith(`${to}/`) && (!ARROWS.has(to) || moduleOf(target) === to));
}

function faultOutside(path: string, module: string | undefined, found: Import, packages: Packages): string | undefined {
  const { how, target } = found;
  if (how === 'opaque') return 'imports what no reader can know: import() takes a literal';
  if (how === 'require') return 'uses require';
  const builtins = module === undefined ? undefined : ARROWS.get(module)?.builtins;
  if (isBuiltin(target)) {
    if (!target.startsWith('node:')) return `writes ${target} without node:`;
    return builtins === undefined || builtins.includes(target) ? undefined : `${module} may not import ${target}`;
  }
  const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/');
  if (builtins !== undefined) return `${module} may not import ${name}`;
  for (const sole of SOLE_IMPORTERS) {
    if (sole.name.test(name) && !leadsTo({ to: sole.at }, path)) return `only ${sole.at} may import ${name}`;
  }
  if (name.startsWith('@sealdex/')) {
    const arrows = (module === undefined ? [] : (ARROWS.get(module)?.arrows ?? [])).filter(({ to }) => to === name);
    if (arrows.length === 0) return `${module} may not import ${name}`;
    return arrows.some((arrow) => allows(arrow, found)) ? undefined : `${module} may import ${name} ${limitOf(arrows)}`;
  }
  if (packages.dependencies.includes(name)) return undefined;
  if (!packages.devDependencies.includes(name)) return `imports ${name}, which package.json does not name`;
  return module === 'demo' ? undefined : `imports ${name}, a dev dependency`;
}

/** Each cycle once, as the path from a file back to itself. */
function cyclesOf(links: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const since = trail.indexOf(path);
    if (since !== -1) cycles.push(`${path}: imports itself: ${[...trail.slice(since), path].join(' -> ')}`);
    if (since !== -1 || done.has(path)) return;
    for (const next of links.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of links.keys()) visit(path, []);
  return cycles;
}
