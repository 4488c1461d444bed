// system/<queue>/birth: the copy in S3 of the identity of Redis. Its content is defined in maintenance/redis-identity.ts.
import { readAll, type PutAnswer, type Store } from './store.ts';

export const birthKey = (queue: string): string => `system/${queue}/birth`;

/** A larger object is not an identity. */
const MAX_BYTES = 1000;

/** Returns undefined if there is none. */
export async function readBirth(store: Store, queue: string, signal?: AbortSignal): Promise<string | undefined> {
  const stored = await store.get(birthKey(queue), { signal });
  if (!stored) return undefined;
  if (stored.bytes <= MAX_BYTES) return (await readAll(stored)).toString();
  stored.discard();
  return '';
}

export const replaceBirth = (store: Store, queue: string, mark: string): Promise<PutAnswer> =>
  store.put(birthKey(queue), Buffer.from(mark), {});

/** Writes the identity if there is none. */
export const writeBirth = (store: Store, queue: string, mark: string): Promise<PutAnswer> =>
  store.put(birthKey(queue), Buffer.from(mark), { condition: { absent: true } });
