// Health server: serves /livez, /readyz and /metrics over HTTP.
// Liveness never fails because of a tenant, KMS, S3 or Redis: a restart fixes none of them.
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { systemClock, withDeadline } from '../runtime/clock.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Redis } from '../runtime/redis.ts';

export interface Readiness {
  readonly isReady: boolean;
  /** Why the worker is not ready: codes, or `stopping`. */
  readonly reasons: readonly string[];
  /** Number of shut gates; they do not affect readiness. */
  readonly shutGates: number;
}

export interface HealthDeps {
  readonly host: string | undefined;
  readonly port: number;
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
}

export interface Health {
  readonly port: number;
  /** May be called twice. */
  stop(): Promise<void>;
}

/** Connections use file descriptors that jobs need for S3, KMS and Redis. */
const MAX_CONNECTIONS = 128;
/** Fewer than all connections, so that a probe still connects while clients that send no request hold theirs. */
const MAX_WITHOUT_REQUEST = 64;
/** Maximum time until a request has arrived completely. */
const REQUEST_MS = 5000;
/** Maximum time without any traffic on a connection, for example of a client that does not read its response. */
const SILENCE_MS = 30_000;

const SERVER_OPTIONS = Object.freeze({
  headersTimeout: REQUEST_MS,
  requestTimeout: REQUEST_MS,
  // By default, Node applies these timeouts only every 30 s.
  connectionsCheckingInterval: 1000,
});

/** @throws SealdexError `CONFIG_INVALID` if the port cannot be opened */
export async function startHealth({ host, port, metrics, readiness }: HealthDeps): Promise<Health> {
  const pages: Record<string, () => Promise<{ status: number; type: string; body: string }>> = {
    '/livez': async () => ({ status: 200, type: 'text/plain', body: 'alive\n' }),
    '/readyz': async () => {
      const { isReady, reasons, shutGates } = await readiness();
      const gates = shutGates === 0 ? '' : ` (gates shut: ${shutGates})`;
      return {
        status: isReady ? 200 : 503,
        type: 'text/plain',
        body: isReady ? `ready${gates}\n` : `not ready: ${reasons.join(', ')}${gates}\n`,
      };
    },
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() }),
  };
  const server = createServer(SERVER_OPTIONS, (request, response) => {
    const page = pages[(request.url ?? '').split('?')[0] ?? ''];
    const content = page
      ? page()
      : Promise.resolve({ status: 404, type: 'text/plain', body: 'There are /livez, /readyz and /metrics.\n' });
    content
      .catch(() => ({ status: 500, type: 'text/plain', body: 'failed\n' }))
      .then(({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body))
      .catch(() => response.destroy());
  });
  boundConnections(server);
  await listen(server, host, port);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: (server.address() as AddressInfo).port, stop: () => (stopped ??= stop()) };
}

/** Beyond its limit, the connection that has waited longest for its request is closed. */
function boundConnections(server: Server): void {
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = SILENCE_MS;
  const withoutRequest = new Set<Socket>();
  server.on('connection', (socket) => {
    withoutRequest.add(socket);
    socket.once('close', () => withoutRequest.delete(socket));
    const [oldest] = withoutRequest;
    if (!oldest || withoutRequest.size <= MAX_WITHOUT_REQUEST) return;
    withoutRequest.delete(oldest);
    oldest.destroy();
  });
  server.on('request', ({ socket }) => withoutRequest.delete(socket));
}

function listen(server: Server, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // The handler stays: a later error, such as no file descriptors for a connection, must not end the process.
    server.on('error', ({ code }: NodeJS.ErrnoException) =>
      reject(new SealdexError('CONFIG_INVALID', listenProblem(code, host, port))),
    );
    server.listen(port, host, () => resolve());
  });
}

function listenProblem(code: string | undefined, host: string | undefined, port: number): string {
  if (code === 'EADDRNOTAVAIL')
    return `SEALDEX_HOST: ${host} is not an address of this host. Use one of its addresses, or leave it unset for all.`;
  const problem = code === 'EADDRINUSE' ? `port ${port} is already in use` : `port ${port} cannot be opened`;
  return `SEALDEX_PORT: ${problem}. Choose another port, or 0 for any free port.`;
}

const PING_MS = 1000;

/** A worker is not ready while it stops, while Redis does not respond, and while a platform fault pauses it. */
export interface WorkerReadiness {
  readonly check: () => Promise<Readiness>;
  readonly stopping: () => void;
}

export function createReadiness(
  redis: Redis,
  pausedBy: () => Code | undefined,
  shutGates: () => number,
): WorkerReadiness {
  let isStopping = false;
  const reasons = (): string[] => [...(isStopping ? ['stopping'] : []), pausedBy() ?? []].flat();
  let pinging: Promise<boolean> | undefined;
  const isReachable = (): Promise<boolean> => {
    const ping = withDeadline(systemClock, PING_MS, redis.ping(), () => new Error('late'));
    return ping.then(
      () => true,
      () => false,
    );
  };
  return {
    async check() {
      // Concurrent calls share one ping, at most one per second while Redis does not respond.
      const responds = await (pinging ??= isReachable().finally(() => (pinging = undefined)));
      const all = [...reasons(), ...(responds ? [] : ['REDIS_FAILED'])];
      return { isReady: all.length === 0, reasons: all, shutGates: shutGates() };
    },
    stopping() {
      isStopping = true;
    },
  };
}
