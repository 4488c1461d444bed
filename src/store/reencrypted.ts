// system/<queue>/reencrypted/<tenant>.json: that all of a tenant's objects were moved to the KMS key of a change.
// Not in the tenant's file: who works on jobs has no business to write there.
import { z } from 'zod';
import { readAll, type Store } from './store.ts';

export interface Reencrypted {
  /** The key change that they were moved after. */
  readonly change: string;
  /** Wall clock, milliseconds. */
  readonly at: number;
  /** Objects that could not be read, and so were not moved. */
  readonly left: number;
}

const reencrypted = z.object({ change: z.string(), at: z.number(), left: z.int().nonnegative() });

/** Begins no other key: the name of a tenant has no dot. */
export const reencryptedKey = (queue: string, tenant: string): string => `system/${queue}/reencrypted/${tenant}.json`;

export async function writeReencrypted(store: Store, queue: string, tenant: string, ended: Reencrypted): Promise<void> {
  await store.put(reencryptedKey(queue, tenant), Buffer.from(`${JSON.stringify({ v: 1, ...ended })}\n`), {});
}

/** What cannot be read says nothing: then it is moved again. */
export async function readReencrypted(store: Store, queue: string, tenant: string): Promise<Reencrypted | undefined> {
  const stored = await store.get(reencryptedKey(queue, tenant));
  if (!stored) return undefined;
  try {
    return reencrypted.parse(JSON.parse((await readAll(stored)).toString('utf8')));
  } catch {
    return undefined;
  }
}
