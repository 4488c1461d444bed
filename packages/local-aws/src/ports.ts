// TCP ports and addresses: a free port, and the address of a local service.
import { createServer } from 'node:net';

/** A port that was just free on that host (127.0.0.1), for a child process that does not accept port 0. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('No free port was found.')),
      );
    });
  });
}

/** Address for this machine of a service that listens on `host` (127.0.0.1): `127.0.0.1:4566`, `[::1]:4566`. */
export function reachableAt(host: string | undefined, port: number): string {
  if (host === undefined || host === '0.0.0.0' || host === '::') return `127.0.0.1:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
