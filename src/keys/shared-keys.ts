// Wrapped data keys that the fleet shares in Redis, so that one process asks KMS for a key and the others unwrap it.
// Wrapped bytes only, and not trusted: what does not unwrap is replaced by whoever finds it so.
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, redisKeys, type Redis } from '../runtime/redis.ts';
import { periodEnd, type KeyScope } from './data-key.ts';
import { MAX_WRAPPED_BYTES } from './kms.ts';

/** How long one process may take to make a key before another tries. */
export const CLAIM_MS = 5000;

/** An entry outlives its period by this, for processes whose clocks are behind. */
const AFTERLIFE_MS = 600_000;

/** More than any entry of ours has; what somebody else put there is not fetched whole. */
const MAX_ENTRY_BYTES = 16_384;

/** Takes the claim, or tells that it is ours already: a command is sent again when its answer was lost. */
const CLAIM = script({
  name: 'claim_data_key',
  keys: ['claim'],
  args: ['token', 'ms'],
  lua: `
    if redis.call('SET', claim, token, 'PX', ms, 'NX') then return 1 end
    if redis.call('GET', claim) == token then return 1 end
    return 0`,
});

/** Writes the entry if it is still what we saw, frees the claim if it is ours, and answers what stands there now. */
const PUT = script({
  name: 'put_data_key',
  keys: ['entry', 'claim'],
  args: ['seen', 'fresh', 'lifeMs', 'token', 'maxBytes'],
  lua: `
    local current = redis.pcall('GETRANGE', entry, 0, maxBytes)
    if type(current) ~= 'string' then current = '' end
    if current == seen then
      redis.call('SET', entry, fresh, 'PX', lifeMs)
      current = fresh
    end
    if redis.call('GET', claim) == token then redis.call('DEL', claim) end
    return current`,
});

const FREE = script({
  name: 'free_claim',
  keys: ['claim'],
  args: ['token'],
  lua: `if redis.call('GET', claim) == token then return redis.call('DEL', claim) end return 0`,
});

export interface SharedKeys {
  /** The bytes of the entry, one character each; '' when there is none. */
  read(key: KeyRef, scope: KeyScope): Promise<string>;
  /** A token when this process may make the key now; undefined when another does. */
  claim(key: KeyRef, scope: KeyScope): Promise<string | undefined>;
  /** Replaces `seen` by the key if nobody else did, and frees the claim. Answers the entry that stands now. */
  put(key: KeyRef, scope: KeyScope, seen: string, wrapped: Buffer, token: string): Promise<string>;
  free(key: KeyRef, scope: KeyScope, token: string): Promise<void>;
}

/** Somebody put a list or a hash there: as good as no entry, and replaced like one. */
const isOfAnotherType = (error: unknown): boolean =>
  error instanceof SealdexError && error.cause instanceof Error && error.cause.message.startsWith('WRONGTYPE');

/** An entry as it stands in Redis. */
export const formatEntry = ({ keyArn }: KeyRef, wrapped: Buffer): string => `1 ${keyArn} ${wrapped.toString('base64')}`;

export function createSharedKeys(redis: Redis, queue: string, clock: Clock): SharedKeys {
  const names = redisKeys(queue);
  const entryKey = ({ tenant, keyArn }: KeyRef, { purpose, period }: KeyScope): string =>
    names.dataKey(purpose, tenant, period, createHash('sha256').update(keyArn).digest('hex').slice(0, 16));
  const claimKey = (key: KeyRef, scope: KeyScope): string => names.dataKeyClaim(entryKey(key, scope));

  return {
    async read(key, scope) {
      try {
        // Bytes: decoded as text, what is no UTF-8 could not be compared with what stands in Redis.
        const entry = await runCommand(redis.getrangeBuffer(entryKey(key, scope), 0, MAX_ENTRY_BYTES));
        return entry.toString('latin1');
      } catch (error) {
        if (isOfAnotherType(error)) return '';
        throw error;
      }
    },

    async claim(key, scope) {
      const token = randomBytes(8).toString('hex');
      const isOurs = (await runScript(redis, CLAIM, { claim: claimKey(key, scope), token, ms: CLAIM_MS })) === 1;
      return isOurs ? token : undefined;
    },

    async put(key, scope, seen, wrapped, token) {
      const lifeMs = Math.max(1, (periodEnd(scope.period) ?? clock.now()) - clock.now()) + AFTERLIFE_MS;
      return String(
        await runScript(redis, PUT, {
          entry: entryKey(key, scope),
          claim: claimKey(key, scope),
          seen: Buffer.from(seen, 'latin1'),
          fresh: formatEntry(key, wrapped),
          lifeMs,
          token,
          maxBytes: MAX_ENTRY_BYTES,
        }),
      );
    },

    async free(key, scope, token) {
      await runScript(redis, FREE, { claim: claimKey(key, scope), token });
    },
  };
}

/** The wrapped bytes of an entry for this KMS key; undefined when it is malformed or another key's. */
export function parseEntry(entry: string, { keyArn }: KeyRef): Buffer | undefined {
  const [version, entryArn, base64, ...rest] = entry.split(' ');
  if (version !== '1' || entryArn !== keyArn || base64 === undefined || rest.length > 0) return undefined;
  const wrapped = Buffer.from(base64, 'base64');
  if (wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES || wrapped.toString('base64') !== base64)
    return undefined;
  return wrapped;
}
