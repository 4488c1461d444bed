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

/** Names of the types that an interface or class extends, or that a type combines. */
function partsOf({ text }: Declaration): Set<string> {
  const heading = /^(?:export )?(?:interface|class) [^{]*\sextends\s([^{]*)/.exec(text)?.[1];
  const combined = heading ?? /^(?:export )?type \w+ =([^;{]*)/.exec(text)?.[1] ?? '';
  return new Set(combined.match(/\b[A-Z]\w+/g));
}

/** Names without a docstring in an interface or class, in those that it extends, and in those that a type combines. */
function undocumentedMembers(declaration: Declaration): string[] {
  const { file, name, text } = declaration;
  const [, body = ''] = /^(?:export )?(?:interface|class) [^{]*\{\n(.*?)\n\}/s.exec(text) ?? [];
  const own = [...body.matchAll(MEMBER)].filter(({ index }) => !isAfterDocstring(body.slice(0, index)));
  return [
    ...own.map(([, member]) => `${file}: ${name}.${member}`),
    ...[...partsOf(declaration)].flatMap((part) => {
      const found = findDeclaration(file, part);
      return found ? undocumentedMembers(found) : [];
    }),
  ];
}

/** Text of a declaration that its type depends on: without the value of a constant and the body of a function. */
function typeText({ text }: Declaration): string {
  if (/^(?:export )?(?:interface|class) /.test(text)) return /^.*?\n\}|^.*?\{\}/s.exec(text)?.[0] ?? text;
  if (/^(?:export )?type /.test(text)) return /^.*?;\n(?! )/s.exec(text)?.[0] ?? text;
  return /^(?:export )?const /.test(text) ? (/^[^=]*/.exec(text)?.[0] ?? '') : (/^.*?\{\n/s.exec(text)?.[0] ?? text);
}

const withoutInternal = (text: string): string => text.replace(/\/\*\* @internal .*?\*\/\n.*?;\n/gs, '');

const withoutComments = (text: string): string => text.replace(/\/\*.*?\*\/|\/\/.*$|'[^'\n]*'/gms, '');

const isType = ({ text }: Declaration): boolean => /^(?:export )?(?:interface|type|class) /.test(text);

/** Types of this package that a declaration names. Instead of a type that it extends or combines, the types that this one names. */
function namedTypes(declaration: Declaration): Declaration[] {
  const parts = partsOf(declaration);
  const names = new Set(withoutComments(withoutInternal(typeText(declaration))).match(/\b[A-Z]\w+/g));
  return [...names].flatMap((name) => {
    const found = name === declaration.name ? undefined : findDeclaration(declaration.file, name);
    if (!found || !isType(found)) return [];
    return parts.has(name) ? namedTypes(found) : [found];
  });
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

/** Types that an exported declaration names and that the package does not export, each as `type (of the declaration)`. */
export function unexportedTypes(index: string): string[] {
  const exported = exportedNames(index);
  const keyOf = ({ file, name }: Declaration): string => `${file}: ${name}`;
  const isExported = new Set(exported.map(keyOf));
  return exported.flatMap((declaration) =>
    namedTypes(declaration)
      .filter((type) => !isExported.has(keyOf(type)))
      .map((type) => `${keyOf(type)} (of ${declaration.name})`),
  );
}
