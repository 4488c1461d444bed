// system/<queue>/canary/<random>: objects written and read to prove that the bucket works and honours conditions.
// They hold nothing, and are removed after use.
import { randomBytes } from 'node:crypto';
import { SealdexError } from '../errors.ts';
import { readAll, type Store } from './s3.ts';

const canaryKey = (queue: string): string => `system/${queue}/canary/${randomBytes(8).toString('hex')}`;

/**
 * Proves at start that conditional writes are honoured: without them a store overwrites in silence.
 * @throws SealdexError `CONFIG_INVALID` when a second `If-None-Match: *` or a wrong `If-Match` is accepted.
 */
export async function proveConditionalWrites(store: Store, queue: string, signal?: AbortSignal): Promise<void> {
  const key = canaryKey(queue);
  const body = Buffer.from('1');
  try {
    await store.put(key, body, { condition: { absent: true }, signal });
    const second = await store.put(key, body, { condition: { absent: true }, signal });
    const wrong = await store.put(key, body, { condition: { etag: '"00000000000000000000000000000000"' }, signal });
    if (second.kind !== 'exists' || wrong.kind !== 'exists') {
      throw new SealdexError(
        'CONFIG_INVALID',
        'SEALDEX_BUCKET is in a store that ignores conditional writes (If-None-Match, If-Match): documents would overwrite each other in silence. Use S3 or a store that answers 412.',
      );
    }
  } finally {
    await store.remove(key).catch(() => {});
  }
}

/** Writes an object, reads it back and removes it. @throws SealdexError `STORE_FAILED` when that does not work. */
export async function flyCanary(store: Store, queue: string, signal?: AbortSignal): Promise<void> {
  const key = canaryKey(queue);
  await store.put(key, Buffer.from(key), { signal });
  const stored = await store.get(key, { signal });
  if (!stored || (await readAll(stored)).toString() !== key)
    throw new SealdexError('STORE_FAILED', undefined, { reason: 'CanaryLost' });
  await store.remove(key, { signal });
}
