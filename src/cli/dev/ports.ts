// Ports of `sealdex dev`: four in a row from the first one, or any free ones.
import { createServer } from 'node:net';
import type { LocalAwsOptions } from '@sealdex/local-aws';

export interface DevPorts extends NonNullable<LocalAwsOptions['ports']> {
  readonly health: number;
}

/** 0 means any free ports. */
export const portsFrom = (first: number): DevPorts =>
  first === 0 ? { health: 0 } : { redis: first, s3: first + 1, kms: first + 2, health: first + 3 };

/** @throws Error of Node with `code` and `port`: `EADDRINUSE` if another process listens there */
export function checkPort(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}
