// Manifest of an export: one line of JSON for each object, in the order of the keys.
// Also reads the manifests of earlier or interrupted runs, so that unchanged files are not fetched again.
import { createReadStream, existsSync } from 'node:fs';
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';
import { isKeyArn } from '../runtime/key-arn.ts';

const line = z.object({
  key: z.string(),
  /** Path in the folder; absent for a deletion, which has no file. */
  file: z.string().optional(),
  deleted: z.literal(true).optional(),
  bytes: z.int().nonnegative(),
  sha256: z.string().optional(),
  /** Revision of the document; 0 for an object without one. */
  revision: z.int().nonnegative(),
  etag: z.string(),
  /** KMS key in the header. Checked, because other programs may write to the folder. */
  kmsKeyArn: z.string().refine(isKeyArn).optional(),
});

export type ManifestLine = z.infer<typeof line>;

const MANIFEST = 'manifest.ndjson';
/** Lines of earlier runs, in any order, and lines of this run so far. */
const KNOWN = '.manifest.known';
const PART = '.manifest.part';

/** Further lines are not kept in memory, and their files are fetched again. */
const MAX_KNOWN = 2_000_000;

export interface Manifest {
  /** Returns the newest line of an earlier run for the key, and removes it. */
  take(key: string): ManifestLine | undefined;
  write(lines: readonly ManifestLine[]): Promise<void>;
  /**
   * Renames the manifest to its final name. Returns the lines of earlier runs that were not taken.
   * @throws SealdexError `DOCUMENT_INVALID` with field `dir` if another process has changed the file
   */
  finish(): Promise<ManifestLine[]>;
}

export async function openManifest(dir: string): Promise<Manifest> {
  const path = (name: string): string => join(dir, name);
  // An interruption between these steps duplicates lines, which is harmless.
  if (existsSync(path(PART))) await appendFile(path(KNOWN), await readFile(path(PART)));
  await writeFile(path(PART), '');
  const known = new Map<string, ManifestLine>();
  for (const name of [MANIFEST, KNOWN])
    for await (const found of linesOf(path(name)))
      if (known.size < MAX_KNOWN || known.has(found.key)) known.set(found.key, found);
  let written = 0;
  return {
    take(key) {
      const found = known.get(key);
      known.delete(key);
      return found;
    },
    async write(lines) {
      if (lines.length > 0) await appendFile(path(PART), lines.map((each) => `${JSON.stringify(each)}\n`).join(''));
      written += lines.length;
    },
    async finish() {
      let found = 0;
      for await (const _ of linesOf(path(PART))) found += 1;
      if (found !== written)
        throw new SealdexError(
          'DOCUMENT_INVALID',
          `The manifest in ${dir} is inconsistent (${found} lines for ${written} objects); another process wrote to the directory. Export again.`,
          { field: 'dir' },
        );
      await rename(path(PART), path(MANIFEST));
      await rm(path(KNOWN), { force: true });
      return [...known.values()];
    },
  };
}

/** Skips incomplete lines. */
async function* linesOf(path: string): AsyncGenerator<ManifestLine> {
  if (!existsSync(path)) return;
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    const found = parsed(text);
    if (found) yield found;
  }
}

function parsed(text: string): ManifestLine | undefined {
  try {
    const found = line.safeParse(JSON.parse(text));
    return found.success ? found.data : undefined;
  } catch {
    return undefined;
  }
}
