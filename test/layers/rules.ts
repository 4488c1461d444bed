// Rules of the layout of src: compares its files with the table of imports. Reads no files.
import { isBuiltin } from 'node:module';
import { cyclesOf, fileOf, formFaults, isRelative, linksOf, packageOf, type Files } from './file-rules.ts';
import { importsOf, type Import } from './imports.ts';
import { codeOf, type Code } from './source-text.ts';
import { ARROWS, type Arrow } from './table.ts';

export interface Packages {
  readonly dependencies: readonly string[];
  /** Optional at run time, so they are imported dynamically. */
  readonly optionalPeers: readonly string[];
  readonly devDependencies: readonly string[];
}

/** Packages with a single place for their imports: a module, a folder, or one file. */
const SOLE_IMPORTERS: readonly { readonly name: RegExp; readonly at: string }[] = [
  { name: /^bullmq$/, at: 'queue' },
  { name: /^@aws-crypto\/client-node$/, at: 'demo' },
  { name: /^@aws-sdk\/client-kms$/, at: 'keys/aws' },
  { name: /^@aws-sdk\/client-sts$/, at: 'keys/aws' },
  { name: /^@aws-sdk\/client-s3$/, at: 'store/s3' },
];

/** Modules that may read AWS SDK responses and errors. */
const SDK_READERS = ['keys/aws', 'store/s3'];
const SDK_SHAPE = '$metadata';

/** The module of a file: the innermost folder with a row, or `index`. Undefined for a file that belongs to none. */
export function moduleOf(path: string): string | undefined {
  if (path === 'index.ts') return 'index';
  const folders = path.split('/').slice(0, -1);
  const names = folders.map((_, depth) => folders.slice(0, depth + 1).join('/'));
  return names.findLast((name) => name !== 'index' && ARROWS.has(name));
}

/** All violations, as `file:line: reason`. */
export function faultsOf(files: Files, packages: Packages): string[] {
  const faults: string[] = [];
  const links = new Map<string, string[]>();
  for (const [path, source] of files) {
    const code = codeOf(source);
    const imports = importsOf(code);
    const module = moduleOf(path);
    if (module === undefined) faults.push(`${path}: belongs to no module of the table`);
    faults.push(...formFaults(path, source, code));
    if (readsSdkShape(code) && !SDK_READERS.some((to) => leadsTo({ to }, path)))
      faults.push(`${path}: only ${SDK_READERS.join(' and ')} may read ${SDK_SHAPE}`);
    links.set(path, linksOf(path, imports));
    for (const found of imports) {
      const fault = isRelative(found)
        ? faultInside(path, module, found, files)
        : faultOutside(path, module, found, packages);
      if (fault !== undefined) faults.push(`${path}:${found.line}: ${fault}`);
    }
  }
  return [...faults, ...cyclesOf(links)];
}

const readsSdkShape = ({ text, strings }: Code): boolean => text.includes(SDK_SHAPE) || strings.includes(SDK_SHAPE);

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
  const name = packageOf(target);
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
  if (packages.optionalPeers.includes(name))
    return how === 'value' ? `imports ${name}, an optional peer, other than dynamically` : undefined;
  return `imports ${name}, ${packages.devDependencies.includes(name) ? 'a dev dependency' : 'which package.json does not name'}`;
}
