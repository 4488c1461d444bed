// system/<queue>/birth: the copy in S3 of the mark that Redis got when it was first used.
// What the mark says is maintenance/redis-identity.ts' business.
import { readAll, type PutAnswer, type Store } from './store.ts';

export const birthKey = (queue: string): string => `system/${queue}/birth`;

/** A mark is small; a larger object is none. */
const MOST_BYTES = 1000;

/** undefined: there is none. */
export async function readBirth(store: Store, queue: string, signal?: AbortSignal): Promise<string | undefined> {
  const stored = await store.get(birthKey(queue), { signal });
  if (!stored) return undefined;
  if (stored.bytes <= MOST_BYTES) return (await readAll(stored)).toString();
  stored.discard();
  return '';
}

/** Writes the mark if there is none. */
export const writeBirth = (store: Store, queue: string, mark: string): Promise<PutAnswer> =>
  store.put(birthKey(queue), Buffer.from(mark), { condition: { absent: true } });
