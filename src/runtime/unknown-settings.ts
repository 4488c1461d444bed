// Unknown settings: which names count as unknown, the problem to report, and a process warning.
import { SETTINGS } from './settings.ts';

/** Names that clients of sealdex use. No process of sealdex reads them. */
const RESERVED: ReadonlySet<string> = new Set(['SEALDEX_API_URL', 'SEALDEX_API_KEY']);

const MAX_TYPOS = 3;

const warned = new Set<string>();

export const isUnknown = (name: string): boolean => !Object.hasOwn(SETTINGS, name) && !RESERVED.has(name);

/** Returns the problem, with the closest known name if there is one. */
export function unknownProblem(name: string): string {
  const [closest] = Object.keys(SETTINGS)
    .map((known) => ({ known, typos: editDistance(name, known) }))
    .filter(({ typos }) => typos <= MAX_TYPOS)
    .toSorted((a, b) => a.typos - b.typos);
  const hint = closest === undefined ? '' : `; did you mean ${closest.known}?`;
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

/** Number of inserted, deleted and replaced characters between two texts. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, char] of Array.from(from).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(to).entries()) {
      const replaced = (row[j] ?? 0) + (char === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
