// Clients for reading results: calls that time out on a busy machine are repeated.
import { SealdexError } from '../../src/runtime/errors.ts';

const MAX_CALLS = 20;

type Method = (...args: never[]) => unknown;

const hasTimedOut = (error: unknown): boolean => error instanceof SealdexError && error.reason === 'TimeoutError';

/** The same client with its calls repeated after a timeout. For calls that can be repeated. */
export const unhurried = <Client extends object>(client: Client): Client =>
  new Proxy(client, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: never[]) => repeated(() => (member as Method).apply(target, args));
    },
  });

function repeated(call: () => unknown, calls = 1): unknown {
  const result = call();
  if (!(result instanceof Promise)) return result;
  return result.catch((error: unknown) => {
    if (hasTimedOut(error) && calls < MAX_CALLS) return repeated(call, calls + 1);
    throw error;
  });
}
