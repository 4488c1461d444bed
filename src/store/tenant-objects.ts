// All that a tenant has in S3 that is encrypted, page by page, whatever it is: read, and replaced by itself under another key.
// Sees messages only; what an object is, its own file beside this one says.
import { SealdexError } from '../runtime/errors.ts';
import { readAll, type ListedObject, type PutAnswer, type Store, type StoredObject } from './store.ts';

/** In this order. */
export const ENCRYPTED_PREFIXES = ['documents', 'originals', 'intake'] as const;

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  /** Where the next page begins: an S3 key, or the prefix that comes next. Undefined at the end of all. */
  readonly next?: string;
}

/**
 * The tenant's objects after an S3 key, or from the first on.
 * @returns undefined for an `after` that lies in none of the tenant's prefixes
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
 * A body that is left unread takes its connection with it, and of most objects no more than the header is wanted: what is
 * not larger is read to its end all the same.
 */
const READ_AT_ONCE_BYTES = 65_536;

export async function getTenantObject(
  store: Store,
  key: string,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  const stored = await store.get(key, { signal });
  if (!stored || stored.bytes > READ_AT_ONCE_BYTES) return stored;
  const whole = await readAll(stored);
  async function* body(): AsyncGenerator<Uint8Array> {
    yield whole;
  }
  return { ...stored, body: body(), discard: () => {} };
}

/** Puts the message in the object's place, with its metadata, if it is still that one. Answers whether it was. @throws SealdexError `STORE_FAILED` */
export async function replaceMessage(
  store: Store,
  key: string,
  { metadata, etag }: Pick<StoredObject, 'metadata' | 'etag'>,
  message: Uint8Array,
  signal: AbortSignal,
): Promise<boolean> {
  const answer: PutAnswer = await store.put(key, message, { metadata: { ...metadata }, condition: { etag }, signal });
  // Another write was under way, maybe our own first try: nobody need have replaced the object.
  if (answer.kind === 'conflict') throw new SealdexError('STORE_FAILED', undefined, { reason: 'Conflict' });
  return answer.kind === 'written';
}
