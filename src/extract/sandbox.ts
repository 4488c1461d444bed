// Sandbox of the extraction process, beyond Node's permissions: no network and no further threads. It also ends the process with
// its worker, even while it is busy. Imports only Node.
import dgram from 'node:dgram';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import workerThreads from 'node:worker_threads';

/** Not an arrow function: it also replaces constructors. */
function refuse(): never {
  throw new Error('Network access and threads are disabled in the extraction process.');
}

const isLookup = (name: string): boolean => /^(lookup|resolve|reverse)/.test(name);

/** Call it before any library is loaded, since libraries keep references to the functions it replaces. */
export function installSandbox(): void {
  replaceAll(net.Socket.prototype, ['connect']);
  replaceAll(net.Server.prototype, ['listen']);
  replaceAll(dgram.Socket.prototype, ['bind', 'connect', 'send', 'sendto']);
  for (const resolving of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    replaceAll(resolving, Object.getOwnPropertyNames(resolving).filter(isLookup));
  }
  replaceAll(globalThis, ['fetch', 'WebSocket', 'EventSource']);
  replaceAll(workerThreads, ['Worker']);
  replaceAll(process, ['binding', '_linkedBinding', 'dlopen']);
  syncBuiltinESMExports();
}

function replaceAll(owner: object, names: readonly string[]): void {
  for (const name of names) {
    Object.defineProperty(owner, name, { value: refuse, writable: false, configurable: false });
  }
}

/**
 * Starts a thread that kills the process when the pipe `fd` ends, as it does when the worker ends: the main thread may be in an
 * endless loop. Signals to the worker's group do not end the process. Call it before `installSandbox`.
 */
export function exitWithParent(fd: number): void {
  // Ctrl-C and service managers signal a whole group, but the worker must drain first. In a group of its own, the scheduler could
  // treat the process as a separate task, regardless of its priority.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
  const watch = `
    const end = () => process.kill(process.pid, 'SIGKILL');
    new (require('node:net').Socket)({ fd: ${fd}, readable: true, writable: false })
      .on('end', end).on('error', end).on('close', end).resume();`;
  const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 };
  new workerThreads.Worker(watch, { eval: true, resourceLimits }).unref();
}
