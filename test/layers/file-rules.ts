// Rules for the source files of src and of every package: form, names and cycles. Reads no files.
import { posix } from 'node:path';
import { hasDefaultExport, isBarrel, type Import } from './imports.ts';
import type { Code } from './source-text.ts';

/** Text by path below the folder of the sources, as `queue/settle.ts`. */
export type Files = ReadonlyMap<string, string>;

const FORBIDDEN_NAMES = /^(?:utils?|helpers?|common|lib|types|managers?|service)$/;
const LONGEST_FILE_LINES = 300;

/** Violations of a file that do not depend on its imports. */
export function formFaults(path: string, source: string, code: Code): string[] {
  const faults: string[] = [];
  if (hasDefaultExport(code)) faults.push(`${path}: has a default export`);
  if (isBarrel(code) !== (path === 'index.ts')) {
    faults.push(`${path}: ${path === 'index.ts' ? 'holds more than an export list' : 'only re-exports: a barrel'}`);
  }
  const lines = source.trimEnd().split('\n').length;
  if (lines > LONGEST_FILE_LINES) faults.push(`${path}: has ${lines} lines, more than ${LONGEST_FILE_LINES}`);
  for (const name of forbiddenNames(path)) faults.push(`${path}: nothing is named ${name}`);
  return faults;
}

/** Meaningless words in a path. */
export const forbiddenNames = (path: string): string[] =>
  path
    .split('/')
    .flatMap((part) => part.split('.')[0] ?? [])
    .filter((name) => FORBIDDEN_NAMES.test(name));

export const isRelative = ({ target }: Import): boolean => target.startsWith('.');

export const fileOf = (from: string, { target }: Import): string => posix.join(posix.dirname(from), target);

/** The files imported by a file. */
export const linksOf = (path: string, imports: readonly Import[]): string[] =>
  imports.filter(isRelative).map((found) => fileOf(path, found));

/** The package of an import: `@aws-sdk/client-s3/commands` is of `@aws-sdk/client-s3`. */
export const packageOf = (target: string): string => target.split('/', target.startsWith('@') ? 2 : 1).join('/');

/** Each cycle once, as the path from a file back to itself. */
export function cyclesOf(links: ReadonlyMap<string, readonly string[]>): string[] {
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
