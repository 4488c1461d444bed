// Fixtures of the store tests: stores on the emulator and on separate servers, and a fast clock.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { Store } from '../../src/store/store.ts';

export const storeOf = (settings: Settings, use: 'patient' | 'prompt' = 'patient'): Store =>
  createStore(loadConfig(settings, {}), use);

/** The clock advances with the event loop: waits between rounds take no time. */
export const hurriedClock: Clock = {
  ...systemClock,
  after(_ms, fn) {
    const turn = setImmediate(fn);
    return { cancel: () => clearImmediate(turn) };
  },
};

/** The typed error of a failing call. */
export async function faultOf(call: Promise<unknown>): Promise<SealdexError> {
  const answer = await call.then(
    (value) => new Error(`The call did not fail but answered ${JSON.stringify(value)}.`),
    (error: unknown) => error,
  );
  if (answer instanceof SealdexError) return answer;
  throw answer;
}

export interface RawServer extends AsyncDisposable {
  readonly endpoint: string;
  connections(): Promise<number>;
  /** The number of connections accepted so far. */
  readonly accepted: number;
}

/** A server with given responses, for cases that the emulator lacks: bodies that stop in the middle. */
export async function rawServer(answer: RequestListener): Promise<RawServer> {
  const server = createServer(answer);
  let accepted = 0;
  server.on('connection', () => (accepted += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Announces `bytes` and sends `sent` of them; then it hangs or ends. */
export const partly =
  (bytes: number, sent: number, then: 'silent' | 'end'): RequestListener =>
  (request, response) => {
    request.resume();
    response.writeHead(200, { 'content-length': bytes, etag: '"x"' });
    if (then === 'silent') response.write(Buffer.alloc(sent, 'x'));
    else response.write(Buffer.alloc(sent, 'x'), () => response.destroy());
  };
