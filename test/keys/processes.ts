// Real child processes with a key ring each: they are started, controlled and killed.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../src/runtime/config.ts';
import { eventually } from '../support/eventually.ts';
import type { MemoryOrder } from './memory-process.ts';
import type { Order, Reply } from './ring-process.ts';

export interface TestProcess<O> extends AsyncDisposable {
  ask(order: O): Promise<unknown>;
  /** Kills it like a crash: nothing is released. */
  kill(): Promise<void>;
  /** Its exit code, once it has ended. */
  readonly exitCode: Promise<number | null>;
}

export type RingProcess = TestProcess<Order>;

export const startRing = (settings: Settings): Promise<RingProcess> => start('./ring-process.ts', settings);

export const startMemory = (settings: Settings): Promise<TestProcess<MemoryOrder>> =>
  start('./memory-process.ts', settings);

async function start<O>(entry: string, settings: Settings): Promise<TestProcess<O>> {
  const child = fork(fileURLToPath(new URL(entry, import.meta.url)), [JSON.stringify(settings)], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const requests = askOf<O>(child, exited);
  await requests.ready;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return {
    ask: requests.ask,
    kill,
    exitCode: exited.then(([code]) => code),
    [Symbol.asyncDispose]: kill,
  };
}

function askOf<O>(
  child: ChildProcess,
  exited: Promise<unknown>,
): { ask: TestProcess<O>['ask']; ready: Promise<unknown> } {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const expect = (id: number): Promise<unknown> => {
    const reply = Promise.withResolvers<unknown>();
    waiting.set(id, reply);
    return reply.promise;
  };
  child.on('message', ({ id, value, code }: Reply) => {
    if (code === undefined) waiting.get(id)?.resolve(value);
    else waiting.get(id)?.reject(new Error(code));
    waiting.delete(id);
  });
  void exited.then(() => {
    for (const reply of waiting.values()) reply.reject(new Error('The process has ended.'));
    waiting.clear();
  });
  let last = 0;
  return {
    ready: expect(0),
    ask(order) {
      last += 1;
      const reply = expect(last);
      child.send({ id: last, order: order as object });
      return reply;
    },
  };
}

/** The result of work in processes that wait for their clocks: advances those in small steps until the work has ended. */
export async function movingAll<T>(processes: readonly RingProcess[], work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  work.then(over, over);
  // Slower than real time, so that a process waits until Redis expires a claim.
  await eventually(async () => {
    await Promise.all(processes.map((process) => process.ask({ kind: 'advance', ms: 25 })));
    return isOver;
  });
  return work;
}
