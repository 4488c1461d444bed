// What a process that reads foreign files may not do, beyond what Node's own permissions forbid: no network, no further
// threads. And its lifeline: it ends with the worker that started it, even while it is busy. Imports nothing but Node.
import dgram from 'node:dgram';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import workerThreads from 'node:worker_threads';

/** No arrow: it stands for constructors too. */
function refuse(): never {
  throw new Error('Network access and threads are disabled in the extraction process.');
}

const isQuestion = (name: string): boolean => /^(lookup|resolve|reverse)/.test(name);

/** Call before any library is loaded: what it takes from Node is then already behind the walls. */
export function installSandbox(): void {
  replaceAll(net.Socket.prototype, ['connect']);
  replaceAll(net.Server.prototype, ['listen']);
  replaceAll(dgram.Socket.prototype, ['bind', 'connect', 'send', 'sendto']);
  for (const resolving of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    replaceAll(resolving, Object.getOwnPropertyNames(resolving).filter(isQuestion));
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
 * A thread that kills the process when the pipe `fd` ends, as it does when the worker is gone: the main thread may be in
 * an endless loop and see nothing. Nothing else that is meant for the worker ends it. Call before `installSandbox`.
 */
export function exitWithParent(fd: number): void {
  // Ctrl-C and service managers tell a whole group to end: the worker drains first. In a group of its own it would be
  // served by the system as a task of its own, whatever its priority is.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
  const watch = `
    const end = () => process.kill(process.pid, 'SIGKILL');
    new (require('node:net').Socket)({ fd: ${fd}, readable: true, writable: false })
      .on('end', end).on('error', end).on('close', end).resume();`;
  const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 };
  new workerThreads.Worker(watch, { eval: true, resourceLimits }).unref();
}
