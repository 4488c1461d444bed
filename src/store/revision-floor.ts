// system/<queue>/floor: the last revision of an installation and the lead of the clock of its Redis, for a Redis that replaces it.
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';
import { readAll, type PutAnswer, type Store } from './store.ts';

export const floorKey = (queue: string): string => `system/${queue}/floor`;

const stored = z.object({ v: z.int().min(1), revision: z.int().positive(), leadMs: z.int() });

/** The stored floor (contract): a revision, and the time of the clock of Redis minus that of S3, in milliseconds. */
export type RevisionFloor = Omit<z.infer<typeof stored>, 'v'>;

/** A larger object is not a floor. */
const MAX_BYTES = 1000;

/** `floor` is undefined if there is none, or no valid one. `storeNow` is the time of S3, or of this process if S3 gives none. */
export async function readFloor(
  store: Store,
  queue: string,
  clock: Clock,
  signal?: AbortSignal,
): Promise<{ readonly floor?: RevisionFloor; readonly storeNow: number }> {
  const found = await store.get(floorKey(queue), { signal });
  const storeNow = found?.servedAt ?? clock.now();
  if (!found) return { storeNow };
  if (found.bytes > MAX_BYTES) {
    found.discard();
    return { storeNow };
  }
  const floor = parse((await readAll(found)).toString());
  return floor ? { floor, storeNow } : { storeNow };
}

function parse(text: string): RevisionFloor | undefined {
  try {
    const { data } = stored.safeParse(JSON.parse(text));
    return data && { revision: data.revision, leadMs: data.leadMs };
  } catch {
    return undefined;
  }
}

export const writeFloor = (
  store: Store,
  queue: string,
  { revision, leadMs }: RevisionFloor,
  signal?: AbortSignal,
): Promise<PutAnswer> =>
  store.put(floorKey(queue), Buffer.from(JSON.stringify({ v: 1, revision, leadMs })), { signal });
