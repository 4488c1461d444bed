// Count of a tenant's objects by KMS key, from their headers. Needs no key, and changes nothing.
import { receiveMessage } from '../envelope/message.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Store } from '../store/store.ts';
import { getTenantObject, listTenantObjects } from '../store/tenant-objects.ts';

const CONCURRENCY = 16;

/** Counts by ARN; an object that is not a message counts as `unreadable`. */
export async function countKeys(store: Store, tenant: string, signal: AbortSignal): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let after: string | undefined;
  do {
    const page = await listTenantObjects(store, tenant, { after, limit: 1000, signal });
    const keys = page?.objects.map(({ key }) => key) ?? [];
    for (let at = 0; at < keys.length; at += CONCURRENCY) {
      const arns = await Promise.all(keys.slice(at, at + CONCURRENCY).map((key) => arnOf(store, key, signal)));
      for (const arn of arns) if (arn !== undefined) counts.set(arn, (counts.get(arn) ?? 0) + 1);
    }
    after = page?.next;
  } while (after !== undefined);
  return counts;
}

/** Undefined for an object that does not exist any more, and for a tombstone, which has no key. */
async function arnOf(store: Store, key: string, signal: AbortSignal): Promise<string | undefined> {
  const stored = await getTenantObject(store, key, signal);
  if (!stored || stored.metadata['deleted'] === '1') {
    stored?.discard();
    return undefined;
  }
  try {
    const message = await receiveMessage(stored.body);
    await message.close();
    return message.header.arn;
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'OBJECT_TAMPERED') return 'unreadable';
    throw error;
  }
}
