// The table of arrows as the design prints it, and how to read it.

/** `x -> y`: files of x may import files of y. Notes in brackets bind the arrow; nothing else may be imported. */
const TABLE = `
  index -> app, errors, types of producer, reader, documents
  cli -> app, extract, documents, policies, audit, dev (dynamic import), ground          dev -> app, ground
  operator -> queue, jobs, tenants, parking, keys, envelope, store, intake, heartbeat, reencryption, leaving, ground
  reencryption -> queue, jobs, tenants, store, ground              identity -> ground
  leaving -> queue, upkeep, tenants, parking, envelope, store, ground
  upkeep -> queue, jobs, intake, store, heartbeat, ground          doctor -> keys, store, heartbeat (type), ground
  app -> all but cli, dev               producer -> queue, intake, documents, jobs, tenants, parking/gate, ground
  reader -> documents, tenants, parking/gate, keys, envelope, store, ground
  queue -> jobs, work/outcome (type), ground
  work -> jobs, documents, tenants, intake, extract, parking/gate, keys, envelope, store, reencryption (type), ground
  extract -> documents, ground          intake -> keys, envelope, store, ground
  tenants -> store, ground              keys, parking, store, documents, jobs, health, heartbeat, policies, audit -> ground
  envelope -> errors, node:crypto
`;

/** The one room of several files that have no folder. */
export const GROUND = [
  'audit-log',
  'config',
  'settings',
  'codes',
  'errors',
  'names',
  'clock',
  'lease',
  'log',
  'metrics',
  'redis',
] as const;

export interface Arrow {
  /** A room, or one file of it without its extension: `parking/gate`. */
  readonly to: string;
  readonly only?: 'type' | 'dynamic';
}

export interface Row {
  readonly arrows: readonly Arrow[];
  /** Modules of Node: all, unless the row names some; such a room imports no package either. */
  readonly builtins?: readonly string[];
}

export const ARROWS: ReadonlyMap<string, Row> = rowsOf(TABLE);

export function rowsOf(table: string): Map<string, Row> {
  const lines = table
    .split(/\n|\s{2,}(?=[\w, ]+ -> )/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line): [string[], string] => {
      const [left = '', right = ''] = line.split(' -> ');
      return [left.split(', '), right];
    });
  const rooms = [...lines.flatMap(([left]) => left), 'ground'];
  return new Map(lines.flatMap(([left, right]) => left.map((room) => [room, rowOf(room, right, rooms)])));
}

function rowOf(room: string, right: string, rooms: readonly string[]): Row {
  if (right.startsWith('all but ')) {
    const not = new Set([room, ...right.slice('all but '.length).split(', ')]);
    return { arrows: rooms.filter((other) => !not.has(other)).map((to) => ({ to })) };
  }
  const [values = '', types = ''] = right.split('types of ');
  const words = (list: string): string[] => list.split(', ').filter((word) => word !== '');
  const arrows = [...words(values).map(arrowOf), ...words(types).map((to): Arrow => ({ to, only: 'type' }))];
  const builtins = arrows.filter(({ to }) => to.startsWith('node:')).map(({ to }) => to);
  return {
    arrows: arrows.filter(({ to }) => !to.startsWith('node:')),
    ...(builtins.length > 0 ? { builtins } : {}),
  };
}

function arrowOf(words: string): Arrow {
  const [to = '', note] = words.split(' (');
  if (note === undefined) return { to };
  return { to, only: note.startsWith('type') ? 'type' : 'dynamic' };
}
