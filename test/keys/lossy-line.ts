// A connection to Redis that can be cut, or lose the responses to commands that were executed.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface LossyLine extends AsyncDisposable {
  readonly url: string;
  /** From now on responses are lost, until the connection is cut. */
  loseAnswers(): void;
  /** Ends all connections; new ones work. */
  cut(): void;
}

export async function lossyLine(redisUrl: string): Promise<LossyLine> {
  const { hostname, port } = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let isLosing = false;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    far.on('data', (chunk) => isLosing || near.write(chunk));
    near.on('data', (chunk) => far.write(chunk));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    isLosing = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseAnswers() {
      isLosing = true;
    },
    cut,
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, 'close');
    },
  };
}
