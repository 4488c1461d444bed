// Changes of the sources in a worker of a chaos run: replaced when the file is loaded. Each names the exact text, so that a
// patch that no longer fits stops the worker.

/** Message of the line that the patch `history` logs. */
export const OUTCOME = 'chaos outcome';

interface Patch {
  /** End of the path. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const PATCHES = {
  /** The outcome of each run of a job, for its history: the product does not log the jobs that succeed. */
  history: [
    {
      file: '/src/queue/bull/processor.ts',
      from: 'deps.onOutcome(outcome);',
      to: `deps.log.info({ job: job.id, outcome }, '${OUTCOME}');deps.onOutcome(outcome);`,
    },
  ],
  /** Jobs of a dead worker return after seconds, so that a short run contains their return. */
  'short-locks': [
    { file: '/src/queue/bull/worker.ts', from: 'const LOCK_MS = 20_000;', to: 'const LOCK_MS = 5_000;' },
    {
      file: '/src/queue/bull/worker.ts',
      from: 'const STALLED_CHECK_MS = 10_000;',
      to: 'const STALLED_CHECK_MS = 2_000;',
    },
  ],
  /** Broken: a late write replaces a newer document. */
  'no-conditional-write': [
    { file: '/src/store/revisions.ts', from: '{ metadata, condition, signal }', to: '{ metadata, signal }' },
  ],
  /** Broken: content that could not be removed after the end of its job is forgotten. */
  'lost-leftovers': [
    {
      file: '/src/queue/bull/status-notes.ts',
      from: "if removal ~= '' then removal_add(removals, removal) end",
      to: '',
    },
  ],
} as const satisfies Record<string, readonly Patch[]>;

const isPatch = (name: string): name is keyof typeof PATCHES => Object.hasOwn(PATCHES, name);

/** `names`: separated by commas. @throws Error for an unknown name */
export function patchesOf(names: string): Patch[] {
  return names
    .split(',')
    .filter((name) => name !== '')
    .flatMap((name) => {
      if (!isPatch(name)) throw new Error(`Unknown patch ${name}. Known: ${Object.keys(PATCHES).join(', ')}.`);
      return [...PATCHES[name]];
    });
}

/** @throws Error if the text of a patch does not occur exactly once */
export function patched(source: string, patches: readonly Patch[]): string {
  return patches.reduce((text, { file, from, to }) => {
    const pieces = text.split(from);
    if (pieces.length !== 2) throw new Error(`The patch of ${file} does not fit: its text must occur once.`);
    return pieces.join(to);
  }, source);
}
