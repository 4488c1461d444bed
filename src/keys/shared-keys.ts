// Wrapped data keys in Redis: one process requests a key from KMS and the others unwrap it. Entries are not trusted: an entry
// that does not unwrap is replaced.
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRef } from '../runtime/key-ref.ts';
import { runScript, script } from '../runtime/lua-script.ts';
import { runCommand, redisKeys, type Redis } from '../runtime/redis.ts';
import { periodEnd, type KeyScope } from './data-key.ts';
import { MAX_WRAPPED_BYTES } from './kms.ts';

/** Maximum time for one process to create a key before another tries. */
export const CLAIM_MS = 5000;

/** Time that an entry outlives its period, for processes whose clocks are behind. */
const AFTERLIFE_MS = 600_000;

/** More than any valid entry; a longer value of another writer is not read completely. */
const MAX_ENTRY_BYTES = 16_384;

/** Takes the claim. Also succeeds if this process already has it, since a command is sent again if its response was lost. */
const CLAIM = script({
  name: 'claim_data_key',
  keys: ['claim'],
  args: ['token', 'ms'],
  lua: `
    if redis.call('SET', claim, token, 'PX', ms, 'NX') then return 1 end
    if redis.call('GET', claim) == token then return 1 end
    return 0`,
});

/** Writes the entry if it is unchanged, frees the claim of this process, and returns the current entry. */
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
  /** The bytes of the entry, one character each; '' if there is none. */
  read(key: KeyRef, scope: KeyScope): Promise<string>;
  /** Returns a token if this process may create the key now; undefined if another process has the claim. */
  claim(key: KeyRef, scope: KeyScope): Promise<string | undefined>;
  /** Replaces `seen` with the key if it is unchanged, and frees the claim. Returns the current entry. */
  put(key: KeyRef, scope: KeyScope, seen: string, wrapped: Buffer, token: string): Promise<string>;
  free(key: KeyRef, scope: KeyScope, token: string): Promise<void>;
}

/** A list or a hash of another writer counts as no entry, and is replaced. */
const isOfAnotherType = (error: unknown): boolean =>
  error instanceof SealdexError && error.cause instanceof Error && error.cause.message.startsWith('WRONGTYPE');

/** Format of an entry in Redis. */
export const formatEntry = ({ keyArn }: KeyRef, wrapped: Buffer): string => `1 ${keyArn} ${wrapped.toString('base64')}`;

export function createSharedKeys(redis: Redis, queue: string, clock: Clock): SharedKeys {
  const names = redisKeys(queue);
  const entryKey = ({ tenant, keyArn }: KeyRef, { purpose, period }: KeyScope): string =>
    names.dataKey(purpose, tenant, period, createHash('sha256').update(keyArn).digest('hex').slice(0, 16));
  const claimKey = (key: KeyRef, scope: KeyScope): string => names.dataKeyClaim(entryKey(key, scope));

  return {
    async read(key, scope) {
      try {
        // As bytes: invalid UTF-8 decoded as text could not be compared with the value in Redis.
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

/** The wrapped bytes of an entry for this KMS key; undefined if it is malformed or belongs to another key. */
export function parseEntry(entry: string, { keyArn }: KeyRef): Buffer | undefined {
  const [version, entryArn, base64, ...rest] = entry.split(' ');
  if (version !== '1' || entryArn !== keyArn || base64 === undefined || rest.length > 0) return undefined;
  const wrapped = Buffer.from(base64, 'base64');
  if (wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES || wrapped.toString('base64') !== base64)
    return undefined;
  return wrapped;
}
