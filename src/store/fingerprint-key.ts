// system/<queue>/fingerprint-key: the wrapped secret of an installation's request fingerprints.
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';
import { isNewerThan, NEWER, newerMessage } from '../runtime/newer.ts';
import { readAll, type PutAnswer, type Store } from './store.ts';

export const fingerprintKeyName = (queue: string): string => `system/${queue}/fingerprint-key`;

const wrappedSecret = z.object({
  v: z.literal(1),
  /** The platform key that wrapped the secret. */
  keyArn: z.string(),
  /** Period in the encryption context. */
  period: z.string(),
  wrapped: z.base64(),
});

/** The stored secret (contract). */
export type WrappedSecret = Omit<z.infer<typeof wrappedSecret>, 'v'>;

/** A larger object is not a wrapped secret. */
const MAX_BYTES = 20_000;

/** `secret` is undefined if the object is invalid. */
export interface StoredSecret {
  readonly etag: string;
  readonly secret: WrappedSecret | undefined;
}

/**
 * Returns undefined if the object does not exist.
 * @throws SealdexError `STORE_FAILED` with reason `Newer` for one of a newer version, which must not be replaced
 */
export async function readFingerprintKey(store: Store, queue: string): Promise<StoredSecret | undefined> {
  const stored = await store.get(fingerprintKeyName(queue));
  if (!stored) return undefined;
  const { etag } = stored;
  if (stored.bytes <= MAX_BYTES) {
    const value = parseJson((await readAll(stored)).toString());
    if (isNewerThan(1, value))
      throw new SealdexError('STORE_FAILED', newerMessage(fingerprintKeyName(queue)), { reason: NEWER });
    return { etag, secret: wrappedSecret.safeParse(value).data };
  }
  stored.discard();
  return { etag, secret: undefined };
}

/** Replaces the object with this ETag; without one, writes only if there is no object. */
export const writeFingerprintKey = (
  store: Store,
  queue: string,
  secret: WrappedSecret,
  etag: string | undefined,
): Promise<PutAnswer> =>
  store.put(fingerprintKeyName(queue), Buffer.from(`${JSON.stringify({ v: 1, ...secret })}\n`), {
    condition: etag === undefined ? { absent: true } : { etag },
  });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
