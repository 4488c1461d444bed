// Unknown settings: which names count as unknown, the problem to report, and a process warning.
import { closestName } from './closest-name.ts';
import { SETTINGS } from './settings.ts';

/** Names that clients of sealdex use. No process of sealdex reads them. */
const RESERVED: ReadonlySet<string> = new Set(['SEALDEX_API_URL', 'SEALDEX_API_KEY']);

const warned = new Set<string>();

export const isUnknown = (name: string): boolean => !Object.hasOwn(SETTINGS, name) && !RESERVED.has(name);

/** Returns the problem, with the closest known name if there is one. */
export function unknownProblem(name: string): string {
  const closest = closestName(name, Object.keys(SETTINGS));
  const hint = closest === undefined ? '' : `; did you mean ${closest}?`;
  return `${name} is not a known setting${hint}`;
}

/** Emits a process warning with the problems of the names, once per process for the same names. */
export function warnOfUnknown(names: readonly string[]): void {
  const key = names.toSorted().join(' ');
  if (names.length === 0 || warned.has(key)) return;
  warned.add(key);
  const problems = names.map((name) => `\n  ${unknownProblem(name)}`).join('');
  process.emitWarning(`Ignored settings that are unknown to this version of sealdex:${problems}`, {
    type: 'SealdexWarning',
    code: 'SEALDEX_UNKNOWN_SETTING',
  });
}
