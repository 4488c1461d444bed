// Reading that ends when a gate shuts, the tenant's or that of the key which the object is under: what was opened before is
// not read on. Knows neither records nor the envelope.
import type { DataKey } from '../keys/data-key.ts';
import { unwrapFor, type NamedKey } from '../keys/unwrap.ts';
import type { GateOwner } from '../parking/gate.ts';
import type { Tenant } from '../tenants/tenants.ts';
import type { ReaderDeps } from './resolve-document.ts';

/** Nothing to wait for but where the gates have to be looked at first. @throws SealdexError the gate's refusal, either way */
export type EnsureOpen = () => Promise<void> | undefined;

export interface GateSession {
  readonly refuse: EnsureOpen;
  readonly unwrap: (named: NamedKey) => Promise<DataKey>;
}

/** For the reading of one object: until a move to another key ends, objects are under a former one, which has a gate of its own. */
export function watchGates({ gates, ring }: Pick<ReaderDeps, 'gates' | 'ring'>, owner: Tenant): GateSession {
  let former: GateOwner | undefined;
  const refuse = (): undefined => {
    const refusal = gates.refusal(owner) ?? (former && gates.refusal(former));
    if (refusal) throw refusal;
  };
  const unwrap = unwrapFor(ring, owner);
  return {
    // Whose process stood still between two parts has not looked either, and what is half read cannot be read on later.
    refuse: () => gates.refresh()?.then(refuse, refuse) ?? refuse(),
    async unwrap(named) {
      const key = await unwrap(named);
      if (key.ref.keyArn !== owner.keyArn) former = key.ref;
      return key;
    },
  };
}

/** An object's bytes as they come in, none after the gate has shut: what waits for S3 may wait long. */
export async function* gatedBytes(body: AsyncIterable<Uint8Array>, refuse: EnsureOpen): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const looking = refuse();
    if (looking) await looking;
    yield chunk;
  }
}

/** Hands on one by one what is asked for, though more of it may have been decrypted. Closes at its end by an error, and when left. */
export function gatedItems<T>(
  items: AsyncIterator<T>,
  refuse: EnsureOpen,
  close: () => Promise<void>,
): AsyncIterable<T> {
  const next = async (): Promise<IteratorResult<T, undefined>> => {
    try {
      const looking = refuse();
      if (looking) await looking;
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
