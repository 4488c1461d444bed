// Pages through a tenant's encrypted S3 objects, reads them, and replaces each with its re-encrypted message.
import { SealdexError } from '../runtime/errors.ts';
import { readAll, type ListedObject, type PutAnswer, type Store, type StoredObject } from './store.ts';

/** In this order. */
export const ENCRYPTED_PREFIXES = ['documents', 'originals', 'intake'] as const;

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  /** Start of the next page: an S3 key, or the next prefix. Undefined at the end. */
  readonly next?: string;
}

/**
 * Returns a page of the tenant's objects after an S3 key, or from the start.
 * @returns undefined if `after` is outside the tenant's prefixes
 */
export async function listTenantObjects(
  store: Store,
  tenant: string,
  { after, limit, signal }: { after?: string | undefined; limit: number; signal?: AbortSignal },
): Promise<ObjectPage | undefined> {
  const prefixes = ENCRYPTED_PREFIXES.map((name) => `${name}/${tenant}/`);
  const at = after === undefined ? 0 : prefixes.findIndex((prefix) => after.startsWith(prefix));
  const prefix = prefixes[at];
  if (prefix === undefined) return undefined;
  const from = after === undefined || after === prefix ? {} : { after };
  const { objects, next = prefixes[at + 1] } = await store.list(prefix, { ...from, limit, signal });
  return { objects, ...(next === undefined ? {} : { next }) };
}

/**
 * Discarding an unread body closes its connection. Most objects are only read for their header, so smaller ones are read to the
 * end.
 */
const MAX_DRAIN_BYTES = 65_536;

export async function getTenantObject(
  store: Store,
  key: string,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  const stored = await store.get(key, { signal });
  if (!stored || stored.bytes > MAX_DRAIN_BYTES) return stored;
  const whole = await readAll(stored);
  async function* body(): AsyncGenerator<Uint8Array> {
    yield whole;
  }
  return { ...stored, body: body(), discard: () => {} };
}

/**
 * Replaces an object with the message, with the same metadata, if it is unchanged. Returns false if it was changed. @throws
 * SealdexError `STORE_FAILED`
 */
export async function replaceMessage(
  store: Store,
  key: string,
  { metadata, etag }: Pick<StoredObject, 'metadata' | 'etag'>,
  message: Uint8Array,
  signal: AbortSignal,
): Promise<boolean> {
  const answer: PutAnswer = await store.put(key, message, { metadata: { ...metadata }, condition: { etag }, signal });
  // A concurrent write, possibly the first try of this request: the object may be unchanged.
  if (answer.kind === 'conflict') throw new SealdexError('STORE_FAILED', undefined, { reason: 'Conflict' });
  return answer.kind === 'written';
}
