// Runs the command line in the test's process, with separate streams, environment, signals and exit code.
import { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { runCommandLine } from '../../src/cli/cli.ts';
import { withHost, type CommandHost } from '../../src/cli/host.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { textsOf, withoutStack, type Ended } from './output.ts';

export interface InProcessOptions {
  readonly settings?: Settings;
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which then ends. */
  readonly input?: string | Buffer;
  /** Standard input stays open for the test to write to. */
  readonly stdin?: 'open';
  readonly cwd?: string;
  /** All three streams are those of a terminal. */
  readonly isTTY?: boolean;
}

/** Disposing of it interrupts the command unless it has ended. */
export interface InProcess extends AsyncDisposable {
  readonly ended: Promise<Ended>;
  readonly stdin: PassThrough;
  stdout(): string;
  stderr(): string;
  /** Raw standard output. */
  bytes(): Buffer;
  /** Sends the command a signal, as Ctrl-C does. */
  kill(signal: 'SIGINT' | 'SIGTERM'): void;
}

/** Starts a command; `runInProcess` waits for its end. */
export function startInProcess(args: readonly string[], options: InProcessOptions = {}): InProcess {
  const { settings = {}, env = {}, input, stdin: isOpen, cwd, isTTY = false } = options;
  const { host, stdin, signals, stdout, stderr } = recordedHost({ env: { ...textsOf(settings), ...env }, isTTY });
  if (isOpen === undefined) stdin.end(input);
  const leave = enterFolder(cwd);
  const ended = withHost(host, () => runCommandLine(args))
    .finally(leave)
    .then(() => ({
      code: Number(host.exitCode ?? 0),
      signal: null,
      stdout: stdout.text(),
      stderr: stderr.text(),
    }));
  let isKilled = false;
  const kill = (signal: 'SIGINT' | 'SIGTERM'): void => {
    isKilled = true;
    signals.emit(signal, signal);
  };
  return {
    ended,
    stdin,
    stdout: () => stdout.text(),
    stderr: () => stderr.text(),
    bytes: () => stdout.bytes(),
    kill,
    async [Symbol.asyncDispose]() {
      if (!isKilled) kill('SIGINT');
      await ended;
    },
  };
}

/** Runs a command to its end. @throws Error if it printed a stack trace, which no command may do. */
export const runInProcess = async (args: readonly string[], options: InProcessOptions = {}): Promise<Ended> =>
  withoutStack(args, await startInProcess(args, options).ended);

interface RecordedOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
}

/** A host that collects the output. */
export function recordedHost({ env = {}, isTTY = false }: RecordedOptions = {}) {
  const screen = { isTTY, columns: 80 };
  const stdin = Object.assign(new PassThrough(), { isTTY });
  const stdout = Object.assign(new Recorder(), screen);
  const stderr = Object.assign(new Recorder(), screen);
  const signals = new EventEmitter();
  const host: CommandHost = {
    stdin,
    stdout,
    stderr,
    env,
    on: (signal, listener) => signals.on(signal, listener),
    off: (signal, listener) => signals.off(signal, listener),
    exit: (code) => {
      throw new Error(`exit ${code} belongs to a process of its own`);
    },
  };
  return { host, stdin, signals, stdout, stderr };
}

/** Collects output as soon as it is written. */
class Recorder extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString();
  }
}

const entered = { count: 0, from: '' };

/** A process has one working folder: parallel commands must use the same. */
function enterFolder(cwd: string | undefined): () => void {
  if (cwd === undefined) return () => {};
  if (entered.count > 0 && process.cwd() !== cwd)
    throw new Error(`A command runs in ${process.cwd()} now: ${cwd} has to wait.`);
  if (entered.count === 0) entered.from = process.cwd();
  process.chdir(cwd);
  entered.count += 1;
  return () => {
    entered.count -= 1;
    if (entered.count === 0) process.chdir(entered.from);
  };
}
