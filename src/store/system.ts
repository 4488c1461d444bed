// system/<queue>/canary/<random>: objects that are written and read to test the bucket and its conditions. They contain no data
// and are removed after use.
import { randomBytes } from 'node:crypto';
import { SealdexError } from '../runtime/errors.ts';
import { isUnsupported, readAll, type Condition, type PutAnswer, type Store } from './store.ts';

export const canaryKey = (queue: string): string => `system/${queue}/canary/${randomBytes(8).toString('hex')}`;

/** An ETag that no object has. */
export const NO_ETAG = '"00000000000000000000000000000000"';

const ignoresConditions = (): SealdexError =>
  new SealdexError(
    'CONFIG_INVALID',
    'SEALDEX_BUCKET: the store ignores conditional writes (If-None-Match, If-Match), so concurrent writes would silently overwrite each other. Use S3 or a store that returns 412.',
  );

/**
 * Tests at start that the store honors conditional writes: otherwise it would silently overwrite objects.
 * @throws SealdexError `CONFIG_INVALID` if the store accepts a second `If-None-Match: *` or a wrong `If-Match`, or implements
 * neither
 */
export async function proveConditionalWrites(store: Store, queue: string): Promise<void> {
  const key = canaryKey(queue);
  const put = (condition: Condition): Promise<PutAnswer> => store.put(key, Buffer.from('1'), { condition });
  const isRefused = async (condition: Condition): Promise<boolean> => {
    const { kind } = await put(condition);
    // 409 means a concurrent write, possibly the first try of this request.
    return (kind === 'conflict' ? (await put(condition)).kind : kind) === 'exists';
  };
  try {
    await put({ absent: true });
    const areRefused = (await isRefused({ absent: true })) && (await isRefused({ etag: NO_ETAG }));
    if (!areRefused) throw ignoresConditions();
  } catch (error) {
    throw isUnsupported(error) ? ignoresConditions() : error;
  } finally {
    await store.remove(key).catch(() => {});
  }
}

/**
 * Tests that the store honors conditional removals: otherwise it would remove a document that was written meanwhile.
 * @throws SealdexError `STORE_FAILED` if the test gives no result
 */
export async function honorsConditionalRemoval(store: Store, queue: string, signal?: AbortSignal): Promise<boolean> {
  const key = canaryKey(queue);
  await store.put(key, Buffer.from('1'), { signal });
  try {
    if ((await store.remove(key, { etag: NO_ETAG, signal })) === 'removed') return false;
    // The removal was rejected, and the object still exists.
    return (await store.head(key, { signal })) !== undefined;
  } catch (error) {
    if (isUnsupported(error)) return false;
    throw error;
  } finally {
    await store.remove(key).catch(() => {});
  }
}

/** Returns true if no other installation has used the bucket. */
export async function isSoleQueue(store: Store, queue: string, signal?: AbortSignal): Promise<boolean> {
  const { folders, next } = await store.listFolders('system/', { signal });
  return next === undefined && folders.every((name) => name === queue);
}

/** Writes an object, reads it and removes it. @throws SealdexError `STORE_FAILED` if one of these fails */
export async function runCanary(store: Store, queue: string): Promise<void> {
  const key = canaryKey(queue);
  await store.put(key, Buffer.from(key), {});
  try {
    const stored = await store.get(key);
    if (!stored || (await readAll(stored)).toString() !== key)
      throw new SealdexError('STORE_FAILED', undefined, { reason: 'CanaryLost' });
  } catch (error) {
    await store.remove(key).catch(() => {});
    throw error;
  }
  await store.remove(key);
}
