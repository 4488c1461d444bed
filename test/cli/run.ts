// Runs the command line as a user does: bin/sealdex.js in a child process, with a separate environment.
import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Settings } from '../../src/runtime/config.ts';
import { RAISED_FLAGS } from '../support/deadlines.ts';
import { textsOf, withoutStack, type Ended } from './output.ts';

export const BIN = fileURLToPath(new URL('../../bin/sealdex.js', import.meta.url));

export interface Running extends AsyncDisposable {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout(): string;
  stderr(): string;
}

export interface RunOptions {
  readonly settings?: Settings;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which then ends. */
  readonly input?: string | Buffer;
  /** Standard input stays open for the test to write to. */
  readonly stdin?: 'open';
  readonly cwd?: string;
  readonly bin?: string;
  /** Path of the Node that runs the command; that of the test, if not given. */
  readonly node?: string;
}

/** Every process started by a test ends with it, also after a failure. */
const LIFE_MS = 600_000;

export const start = (
  args: readonly string[],
  { bin = BIN, node = process.execPath, ...options }: RunOptions = {},
): Running => startCommand([node, ...(bin === BIN ? RAISED_FLAGS : []), bin, ...args], options);

/** On a real terminal from `script`, which Debian includes: standard input is typed there. */
export const startOnTerminal = (args: readonly string[], settings: Settings): Running => {
  const command = [process.execPath, ...RAISED_FLAGS, BIN, ...args].map((word) => `'${word}'`).join(' ');
  return startCommand(['script', '-qec', command, '/dev/null'], { settings, stdin: 'open', env: { SHELL: '/bin/sh' } });
};

function startCommand([command = '', ...args]: readonly string[], options: Omit<RunOptions, 'bin' | 'node'>): Running {
  const { settings = {}, env = {}, input, stdin, cwd = tmpdir() } = options;
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...textsOf(settings), ...env },
    stdio: [input === undefined && stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: LIFE_MS,
    killSignal: 'SIGKILL',
  });
  // Some tests are about a command that ends before it has read all its input.
  child.stdin?.on('error', () => {});
  if (stdin === undefined) child.stdin?.end(input);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, stdout: stdout(), stderr: stderr() })),
  );
  return {
    pid: child.pid ?? -1,
    child,
    ended,
    stdout,
    stderr,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Runs a command to its end. @throws Error if it printed a stack trace, which no command may do. */
export const run = async (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  withoutStack(args, await start(args, options).ended);

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}
