// Exported names of the package and their documentation, read from the sources.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { ROOT } from './pages.ts';

interface Declaration {
  readonly file: string;
  readonly name: string;
  /** Text of the file from the declaration on. */
  readonly text: string;
  readonly isDocumented: boolean;
}

const sourceOf = (file: string): string => readFileSync(posix.resolve(ROOT, file), 'utf8');

const isAfterDocstring = (before: string): boolean => before.trimEnd().endsWith('*/');

/** Names between braces, by the name that the importing file uses, as the name in the other file. */
function namesIn(list: string): Map<string, string> {
  const words = list.split(',').map((each) => each.trim().replace(/^type /, ''));
  const pairs = words.filter((word) => word !== '').map((word): string[] => word.split(' as '));
  return new Map(pairs.map(([name = '', alias = name]) => [alias, name]));
}

/** Every import and re-export of a file: the local names, and the file that they come from. */
const linksOf = (file: string): { names: Map<string, string>; from: string }[] =>
  [...sourceOf(file).matchAll(/^(?:import|export)(?: type)? \{([^}]*)\} from '(\.[^']+)';/gm)].map(
    ([, list = '', from = '']) => ({ names: namesIn(list), from: posix.join(posix.dirname(file), from) }),
  );

/** Follows imports and re-exports to the declaration; undefined for a name of another package. */
function findDeclaration(file: string, name: string): Declaration | undefined {
  const text = sourceOf(file);
  const kinds = 'interface|type|class|const|function|async function';
  const found = new RegExp(`^(?:export )?(?:${kinds}) ${name}\\b`, 'm').exec(text);
  if (found) {
    const isDocumented = isAfterDocstring(text.slice(0, found.index));
    return { file, name, text: text.slice(found.index), isDocumented };
  }
  const link = linksOf(file).find(({ names }) => names.has(name));
  return link && findDeclaration(link.from, link.names.get(name) ?? name);
}

const MEMBER = /^ {2}(?:declare |override )?(?:readonly )?(?!constructor)(\w+)\??[:(]/gm;

/** Names without a docstring in an interface or class, in those that it extends, and in those that a type combines. */
function undocumentedMembers({ file, name, text }: Declaration): string[] {
  const [, heading = '', body = ''] = /^(?:export )?(?:interface|class) ([^{]*)\{\n(.*?)\n\}/s.exec(text) ?? [];
  const own = [...body.matchAll(MEMBER)].filter(({ index }) => !isAfterDocstring(body.slice(0, index)));
  const combined = / extends (.*)/s.exec(heading)?.[1] ?? /^(?:export )?type \w+ =([^;{]*)/.exec(text)?.[1] ?? '';
  const parents = new Set(combined.match(/\b[A-Z]\w+/g));
  return [
    ...own.map(([, member]) => `${file}: ${name}.${member}`),
    ...[...parents].flatMap((parent) => {
      const declaration = findDeclaration(file, parent);
      return declaration ? undocumentedMembers(declaration) : [];
    }),
  ];
}

export const exportedNames = (index: string): Declaration[] =>
  linksOf(index).flatMap(({ names, from }) =>
    [...names.values()].map((name) => {
      const declaration = findDeclaration(from, name);
      if (!declaration) throw new Error(`${index} exports ${name}, whose declaration was not found.`);
      return declaration;
    }),
  );

/** Exported names and their fields that have no docstring. */
export const undocumentedNames = (index: string): string[] =>
  exportedNames(index).flatMap((declaration) => [
    ...(declaration.isDocumented ? [] : [`${declaration.file}: ${declaration.name}`]),
    ...undocumentedMembers(declaration),
  ]);
