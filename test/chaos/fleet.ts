// Worker processes of a chaos run: killed, frozen and stopped by faults, and started again as a service manager does.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../src/runtime/config.ts';

const ENTRY = fileURLToPath(new URL('./worker.ts', import.meta.url));
const RESTART_MS = 300;
const POLL_MS = 50;

export interface Fleet extends AsyncDisposable {
  /** Sends the signal to a running worker. */
  signal(worker: number, signal: NodeJS.Signals): void;
  /** Resolves when every worker takes jobs. */
  ready(): Promise<void>;
  /** Ends all workers by SIGTERM. */
  stop(): Promise<void>;
  readonly starts: number;
}

interface Slot {
  child: ChildProcess | undefined;
  isReady: boolean;
  running: Promise<void>;
}

/** Standard output and error of all workers are appended to `logFile`. */
export function startFleet(settings: Settings, patches: string, size: number, logFile: string): Fleet {
  const stopping = new AbortController();
  let starts = 0;
  const output = openSync(logFile, 'a');
  const env = {
    PATH: process.env['PATH'] ?? '',
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
    CHAOS_PATCHES: patches,
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
  };
  const runOnce = async (slot: Slot): Promise<void> => {
    starts += 1;
    const child = spawn(process.execPath, [ENTRY], { env, stdio: ['ignore', output, output, 'ipc'] });
    slot.child = child;
    child.on('message', () => (slot.isReady = true));
    await new Promise((resolve) => child.once('exit', resolve));
    slot.child = undefined;
    slot.isReady = false;
  };
  const keepRunning = async (slot: Slot): Promise<void> => {
    while (!stopping.signal.aborted) {
      await runOnce(slot);
      await sleep(RESTART_MS);
    }
  };
  const slots = Array.from({ length: size }, () => {
    const slot: Slot = { child: undefined, isReady: false, running: Promise.resolve() };
    slot.running = keepRunning(slot);
    return slot;
  });
  const signalAll = (signal: NodeJS.Signals): void => slots.forEach(({ child }) => child?.kill(signal));
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    stopping.abort();
    signalAll(signal);
    await Promise.all(slots.map(({ running }) => running));
  };
  return {
    signal: (worker, signal) => void slots[worker]?.child?.kill(signal),
    async ready() {
      while (!slots.every(({ isReady }) => isReady)) await sleep(POLL_MS);
    },
    stop: () => end('SIGTERM'),
    get starts() {
      return starts;
    },
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
      closeSync(output);
    },
  };
}
