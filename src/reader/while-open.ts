// Reading that ends when the tenant's gate shuts: a document that was opened before is not read on.
// Knows neither records nor the envelope.
import type { Tenant } from '../tenants.ts';
import type { ReaderDeps } from './place.ts';

/** Nothing to wait for but where the gates have to be looked at first. @throws SealdexError the gate's refusal, either way */
export type Refuse = () => Promise<void> | undefined;

export function refuseShut({ gates }: Pick<ReaderDeps, 'gates'>, owner: Tenant): Refuse {
  const refuse = (): undefined => {
    const refusal = gates.refusal(owner);
    if (refusal) throw refusal;
  };
  // Whose process stood still between two parts has not looked either, and what is half read cannot be read on later.
  return () => gates.lookAgain()?.then(refuse, refuse) ?? refuse();
}

/** An object's bytes as they come in, none after the gate has shut: what waits for S3 may wait long. */
export async function* bytesWhileOpen(body: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const looking = refuse();
    if (looking) await looking;
    yield chunk;
  }
}

/** Hands on one by one what is asked for, though more of it may have been decrypted. Closes at its end by an error, and when left. */
export function itemsWhileOpen<T>(
  items: AsyncIterator<T>,
  refuse: Refuse,
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
