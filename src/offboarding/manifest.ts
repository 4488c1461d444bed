// The manifest of an export: one line of JSON for each object, in the order of the keys. Also what an export that was cut off,
// or an earlier one, has left in the folder: what of it still holds need not be fetched again.
import { createReadStream, existsSync } from 'node:fs';
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';
import { isKeyArn } from '../runtime/key-arn.ts';

const line = z.object({
  key: z.string(),
  /** Below the folder; missing for a deletion, of which there is nothing but this line. */
  file: z.string().optional(),
  deleted: z.literal(true).optional(),
  bytes: z.int().nonnegative(),
  sha256: z.string().optional(),
  /** Which of two writes of a document came later; 0 for an object that does not say. */
  revision: z.int().nonnegative(),
  etag: z.string(),
  /** What the message says it is under; the folder lies where others may write. */
  kmsKeyArn: z.string().refine(isKeyArn).optional(),
});

export type ManifestLine = z.infer<typeof line>;

const MANIFEST = 'manifest.ndjson';
/** What earlier runs wrote, in any order, and what this one has written so far. */
const KNOWN = '.manifest.known';
const PART = '.manifest.part';

/** More are not remembered: beyond, an export that goes on fetches again. */
const MOST_KNOWN = 2_000_000;

export interface Manifest {
  /** What an earlier run says of the key; the newest of it. Told once. */
  take(key: string): ManifestLine | undefined;
  write(lines: readonly ManifestLine[]): Promise<void>;
  /**
   * Puts the manifest in its place; answers what earlier runs wrote of and this one has not met.
   * @throws SealdexError `DOCUMENT_INVALID` with field `dir` when it is not what was written
   */
  finish(): Promise<ManifestLine[]>;
}

export async function openManifest(dir: string): Promise<Manifest> {
  const path = (name: string): string => join(dir, name);
  // Cut off in between, the lines are there twice, which is no harm.
  if (existsSync(path(PART))) await appendFile(path(KNOWN), await readFile(path(PART)));
  await writeFile(path(PART), '');
  const known = new Map<string, ManifestLine>();
  for (const name of [MANIFEST, KNOWN])
    for await (const found of linesOf(path(name)))
      if (known.size < MOST_KNOWN || known.has(found.key)) known.set(found.key, found);
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

/** A line that was cut off is none. */
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
