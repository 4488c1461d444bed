// Rules of a package of this repository: it imports only its own files, its own dependencies and modules of Node. Reads no
// files.
import { isBuiltin } from 'node:module';
import { cyclesOf, fileOf, formFaults, isRelative, linksOf, packageOf, type Files } from './file-rules.ts';
import { importsOf, type Import } from './imports.ts';
import { codeOf } from './source-text.ts';

/** All violations in the sources of a package with the given dependencies, as `file:line: reason`. */
export function packageFaultsOf(files: Files, dependencies: readonly string[]): string[] {
  const faults: string[] = [];
  const links = new Map<string, string[]>();
  for (const [path, source] of files) {
    const code = codeOf(source);
    const imports = importsOf(code);
    faults.push(...formFaults(path, source, code));
    links.set(path, linksOf(path, imports));
    for (const found of imports) {
      const fault = importFault(path, found, files, dependencies);
      if (fault !== undefined) faults.push(`${path}:${found.line}: ${fault}`);
    }
  }
  return [...faults, ...cyclesOf(links)];
}

function importFault(path: string, found: Import, files: Files, dependencies: readonly string[]): string | undefined {
  const { how, target } = found;
  if (how === 'opaque') return 'imports what no reader can know: import() takes a literal';
  if (how === 'require') return 'uses require';
  if (isRelative(found))
    return files.has(fileOf(path, found)) ? undefined : `imports ${target}, which is no file of the package`;
  if (isBuiltin(target)) return target.startsWith('node:') ? undefined : `writes ${target} without node:`;
  const name = packageOf(target);
  return dependencies.includes(name) ? undefined : `imports ${name}, which its package.json does not name`;
}
