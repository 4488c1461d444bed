// The test double of the data keys shared by the fleet: entries and claims in memory, with the rules of those in Redis.
import { randomBytes } from 'node:crypto';
import type { KeyScope } from '../../src/keys/data-key.ts';
import { CLAIM_MS, formatEntry, type SharedKeys } from '../../src/keys/shared-keys.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { KeyRef } from '../../src/runtime/key-ref.ts';

interface Claim {
  readonly token: string;
  readonly endsAt: number;
}

/** One for all processes of a test. Entries outlive any test. */
export function memorySharedKeys(): SharedKeys {
  const entries = new Map<string, string>();
  const claims = new Map<string, Claim>();
  const nameOf = ({ tenant, keyArn }: KeyRef, { purpose, period }: KeyScope): string =>
    JSON.stringify([purpose, tenant, period, keyArn]);
  const free = (name: string, token: string): void => {
    if (claims.get(name)?.token === token) claims.delete(name);
  };
  return {
    read: async (key, scope) => entries.get(nameOf(key, scope)) ?? '',
    async claim(key, scope) {
      const name = nameOf(key, scope);
      if ((claims.get(name)?.endsAt ?? 0) > systemClock.monotonic()) return undefined;
      const token = randomBytes(8).toString('hex');
      claims.set(name, { token, endsAt: systemClock.monotonic() + CLAIM_MS });
      return token;
    },
    async put(key, scope, seen, wrapped, token) {
      const name = nameOf(key, scope);
      if ((entries.get(name) ?? '') === seen) entries.set(name, formatEntry(key, wrapped));
      free(name, token);
      return entries.get(name) ?? '';
    },
    free: async (key, scope, token) => free(nameOf(key, scope), token),
  };
}
