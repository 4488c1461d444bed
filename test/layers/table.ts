// The table of allowed imports in ARCHITECTURE.md.
import { readFileSync } from 'node:fs';

/** `x -> y`: files of x may import files of y. Names in parentheses limit the import; nothing else may be imported. */
const TABLE = tableOf(readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8'));

function tableOf(page: string): string {
  const table = /<!-- imports: [^>]*-->\s*```\n(.*?)```/s.exec(page)?.[1];
  if (table === undefined) throw new Error('ARCHITECTURE.md has no table of imports.');
  return table;
}

export interface Arrow {
  /** A module, or one file of it without its extension: `parking/gate`. */
  readonly to: string;
  readonly only?: 'type' | 'dynamic';
}

export interface Row {
  readonly arrows: readonly Arrow[];
  /** Modules of Node: all, unless the row names some; such a module imports no package either. */
  readonly builtins?: readonly string[];
}

export const ARROWS: ReadonlyMap<string, Row> = rowsOf(TABLE);

export function rowsOf(table: string): Map<string, Row> {
  const lines = table.split('\n').filter((line) => line.trim() !== '');
  return new Map(
    lines.map((line) => {
      const [module = '', right = ''] = line.split('->').map((side) => side.trim());
      return [module, rowOf(right)];
    }),
  );
}

function rowOf(right: string): Row {
  const targets = right.split(/,\s*(?![^(]*\))/).filter((target) => target !== '');
  const builtins = targets.filter((target) => target.startsWith('node:'));
  const arrows = targets.filter((target) => !target.startsWith('node:')).flatMap(arrowsOf);
  return { arrows, ...(builtins.length > 0 ? { builtins } : {}) };
}

function arrowsOf(target: string): Arrow[] {
  const [, to = '', list] = /^([^\s(]+)(?:\s*\(([^)]*)\))?$/.exec(target) ?? [];
  if (list === 'types') return [{ to, only: 'type' }];
  if (list === 'dynamic') return [{ to, only: 'dynamic' }];
  return list === undefined ? [{ to }] : list.split(', ').map((file) => ({ to: `${to}/${file}` }));
}
