// Gated streams: end when the gate of the tenant's key, or of the object's key, shuts. Import no record or envelope code.
import type { DataKey } from '../keys/data-key.ts';
import { unwrapFor, type NamedKey } from '../keys/unwrap.ts';
import type { GateOwner } from '../parking/gate.ts';
import type { Tenant } from '../tenants/tenants.ts';
import type { ReaderDeps } from './resolve-document.ts';

/**
 * Returns a promise only if the gates must be read first.
 * @throws the error that shut the gate, synchronously or as a rejection
 */
export type EnsureOpen = () => Promise<void> | undefined;

export interface GateSession {
  readonly ensureOpen: EnsureOpen;
  readonly unwrap: (named: NamedKey) => Promise<DataKey>;
}

/** For one object. Until re-encryption ends, objects are encrypted under a former key, which has a gate of its own. */
export function watchGates({ gates, ring }: Pick<ReaderDeps, 'gates' | 'ring'>, owner: Tenant): GateSession {
  let former: GateOwner | undefined;
  const ensureOpen = (): undefined => {
    const refusal = gates.refusal(owner) ?? (former && gates.refusal(former));
    if (refusal) throw refusal;
  };
  const unwrap = unwrapFor(ring, owner);
  return {
    // After a freeze, the gates must be read again. If that fails, reading ends, since a partial read cannot be resumed.
    ensureOpen: () => gates.refresh()?.then(ensureOpen, ensureOpen) ?? ensureOpen(),
    async unwrap(named) {
      const key = await unwrap(named);
      if (key.ref.keyArn !== owner.keyArn) former = key.ref;
      return key;
    },
  };
}

/** The bytes of an object as they arrive, none after the gate has shut. */
export async function* gatedBytes(body: AsyncIterable<Uint8Array>, ensureOpen: EnsureOpen): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const refreshing = ensureOpen();
    if (refreshing) await refreshing;
    yield chunk;
  }
}

/**
 * Returns items one at a time, even if more are decrypted already. Closes the reading after an error and when the consumer stops.
 */
export function gatedItems<T>(
  items: AsyncIterator<T>,
  ensureOpen: EnsureOpen,
  close: () => Promise<void>,
): AsyncIterable<T> {
  const next = async (): Promise<IteratorResult<T, undefined>> => {
    try {
      const refreshing = ensureOpen();
      if (refreshing) await refreshing;
      return (await items.next()) as IteratorResult<T, undefined>;
    } catch (error) {
      await close();
      throw error;
    }
  };
  const leave = async (): Promise<IteratorResult<T, undefined>> => {
    await close();
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}
