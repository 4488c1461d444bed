// The test double of the data keys that the fleet shares: entries and claims in memory, with the rules of those in Redis.
import { randomBytes } from 'node:crypto';
import type { KeyContext } from '../../src/keys/data-key.ts';
import { CLAIM_MS, formatEntry, type SharedKeys } from '../../src/keys/shared-keys.ts';
import { systemClock } from '../../src/runtime/clock.ts';

interface Claim {
  readonly token: string;
  readonly endsAt: number;
}

/** One for all processes of a test. Entries outlive any test. */
export function memorySharedKeys(): SharedKeys {
  const entries = new Map<string, string>();
  const claims = new Map<string, Claim>();
  const nameOf = (arn: string, { purpose, tenant, period }: KeyContext): string =>
    JSON.stringify([purpose, tenant, period, arn]);
  const free = (name: string, token: string): void => {
    if (claims.get(name)?.token === token) claims.delete(name);
  };
  return {
    read: async (arn, context) => entries.get(nameOf(arn, context)) ?? '',
    async claim(arn, context) {
      const name = nameOf(arn, context);
      if ((claims.get(name)?.endsAt ?? 0) > systemClock.monotonic()) return undefined;
      const token = randomBytes(8).toString('hex');
      claims.set(name, { token, endsAt: systemClock.monotonic() + CLAIM_MS });
      return token;
    },
    async put(arn, context, seen, wrapped, token) {
      const name = nameOf(arn, context);
      if ((entries.get(name) ?? '') === seen) entries.set(name, formatEntry(arn, wrapped));
      free(name, token);
      return entries.get(name) ?? '';
    },
    free: async (arn, context, token) => free(nameOf(arn, context), token),
  };
}
