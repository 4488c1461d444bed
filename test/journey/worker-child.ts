// Real worker processes for tests: started, signaled, watched, and stopped when the test ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../src/runtime/config.ts';
import { eventually } from '../support/eventually.ts';

const ENTRY = fileURLToPath(new URL('../support/worker-process.ts', import.meta.url));

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface WorkerChild extends AsyncDisposable {
  readonly pid: number;
  /** The address of /readyz and /metrics, once it takes jobs. */
  readonly ready: Promise<number>;
  readonly exited: Promise<Exit>;
  /** The lines of its log so far. */
  log(): Record<string, unknown>[];
  stderr(): string;
  /** Result of stop(). */
  ended(): { handedBack: number; isClean: boolean } | undefined;
  kill(signal: NodeJS.Signals): void;
}

const asText = (settings: Settings): Record<string, string> =>
  Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );

/** Resolves when the process handles signals; `ready` resolves when it takes jobs. `openFiles` limits its file descriptors. */
export async function startWorkerChild(settings: Settings, openFiles?: number): Promise<WorkerChild> {
  const command = [process.execPath, ENTRY];
  const [program = '', ...args] =
    openFiles === undefined ? command : ['bash', '-c', `ulimit -n ${openFiles}; exec "$0" "$@"`, ...command];
  const child = spawn(program, args, {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      SEALDEX_PORT: '0',
      ...asText(settings),
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const output = collect(child.stdout);
  const errors = collect(child.stderr);
  const messages: Record<string, unknown>[] = [];
  child.on('message', (message) => messages.push(message as Record<string, unknown>));
  const exited = new Promise<Exit>((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  const received = (name: string): unknown => messages.find((message) => name in message)?.[name];
  const ready = (async () =>
    eventually(() => {
      if (child.exitCode !== null) throw new Error(`The worker process did not start: ${errors()}`);
      return received('port') as number | undefined;
    }))();
  // A killed process never becomes ready.
  ready.catch(() => {});
  await eventually(() => received('starting') === true || child.exitCode !== null);
  return {
    pid: child.pid ?? 0,
    ready,
    exited,
    log: () => linesOf(output()),
    stderr: errors,
    ended: () => received('ended') as { handedBack: number; isClean: boolean } | undefined,
    kill: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: () => end(child, exited),
  };
}

/** A frozen process dies of SIGKILL too. */
async function end(child: ChildProcess, exited: Promise<Exit>): Promise<void> {
  child.kill('SIGKILL');
  await exited;
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
