// system/<queue>/reencrypted/<tenant>.json: records that all of a tenant's objects were re-encrypted after a key change. It is
// not part of the tenant's file, which workers must not write.
import { z } from 'zod';
import { readAll, type Store } from './store.ts';

export interface Reencrypted {
  /** The key change that started the re-encryption. */
  readonly change: string;
  /** Wall clock, milliseconds. */
  readonly at: number;
  /** Objects that could not be read and were not re-encrypted. */
  readonly left: number;
}

const reencrypted = z.object({ change: z.string(), at: z.number(), left: z.int().nonnegative() });

/** No key is a prefix of another: names of tenants contain no dot. */
export const reencryptedKey = (queue: string, tenant: string): string => `system/${queue}/reencrypted/${tenant}.json`;

export async function writeReencrypted(store: Store, queue: string, tenant: string, ended: Reencrypted): Promise<void> {
  await store.put(reencryptedKey(queue, tenant), Buffer.from(`${JSON.stringify({ v: 1, ...ended })}\n`), {});
}

/** Returns undefined if the record is unreadable: the objects are then re-encrypted again. */
export async function readReencrypted(store: Store, queue: string, tenant: string): Promise<Reencrypted | undefined> {
  const stored = await store.get(reencryptedKey(queue, tenant));
  if (!stored) return undefined;
  try {
    return reencrypted.parse(JSON.parse((await readAll(stored)).toString('utf8')));
  } catch {
    return undefined;
  }
}
