// system/<queue>/canary/<random>: objects written and read to prove that the bucket works and honors conditions.
// They hold nothing, and are removed after use.
import { randomBytes } from 'node:crypto';
import { SealdexError } from '../runtime/errors.ts';
import { isUnsupported, readAll, type Condition, type PutAnswer, type Store } from './store.ts';

export const canaryKey = (queue: string): string => `system/${queue}/canary/${randomBytes(8).toString('hex')}`;

/** That of no object. */
export const NO_ETAG = '"00000000000000000000000000000000"';

const ignoresConditions = (): SealdexError =>
  new SealdexError(
    'CONFIG_INVALID',
    'SEALDEX_BUCKET: the store ignores conditional writes (If-None-Match, If-Match), so concurrent writes would silently overwrite each other. Use S3 or a store that returns 412.',
  );

/**
 * Proves at start that conditional writes are honoured: without them a store overwrites in silence.
 * @throws SealdexError `CONFIG_INVALID` when a second `If-None-Match: *` or a wrong `If-Match` is accepted, or neither is known
 */
export async function proveConditionalWrites(store: Store, queue: string): Promise<void> {
  const key = canaryKey(queue);
  const put = (condition: Condition): Promise<PutAnswer> => store.put(key, Buffer.from('1'), { condition });
  const isRefused = async (condition: Condition): Promise<boolean> => {
    const { kind } = await put(condition);
    // 409 says only that another write was under way, as a lost answer may have left one.
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
 * Proves that a conditional removal is honoured: a store that takes no notice of the condition would remove a document that
 * was written in between.
 * @throws SealdexError `STORE_FAILED` when nothing is proven either way
 */
export async function honoursConditionalRemoval(store: Store, queue: string, signal?: AbortSignal): Promise<boolean> {
  const key = canaryKey(queue);
  await store.put(key, Buffer.from('1'), { signal });
  try {
    if ((await store.remove(key, { etag: NO_ETAG, signal })) === 'removed') return false;
    // Refused, and really not removed.
    return (await store.head(key, { signal })) !== undefined;
  } catch (error) {
    if (isUnsupported(error)) return false;
    throw error;
  } finally {
    await store.remove(key).catch(() => {});
  }
}

/** Writes an object, reads it back and removes it. @throws SealdexError `STORE_FAILED` when that does not work. */
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
