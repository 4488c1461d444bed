// One extraction process, from the worker's side: started with minimal rights, sent requests, and killed by its pid. The pool
// limits time, memory and the number of processes.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { dirname, extname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { framePieces, FrameReader, type Frame, type FrameBounds } from './framing.ts';
import { readersFolder } from './readers.ts';

const HERE = dirname(fileURLToPath(import.meta.url));

/** Priority of each child in the operating system. Tests on a busy machine raise it. */
export const scheduling: { priority: number } = { priority: constants.priority.PRIORITY_LOW };

/** `.ts` in a checkout, `.js` in the package. */
export const CHILD_ENTRY = join(HERE, `child${extname(fileURLToPath(import.meta.url))}`);

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Extractor {
  readonly #child: ChildProcess;
  readonly #bounds: FrameBounds;
  #onFrame: ((frame: Frame) => void) | undefined;
  #isKilled = false;
  /** Number of requests so far. */
  requests = 0;
  /** Resolves when the process has ended. */
  readonly gone: Promise<Ended>;

  constructor(options: { entry: string; heapBytes: number; bounds: FrameBounds }) {
    this.#bounds = options.bounds;
    const [command, ...args] = commandLine(options.entry, options.heapBytes);
    this.#child = spawn(command!, args, {
      cwd: '/',
      // No credentials, no settings. The time zone is fixed, so that dates in files do not depend on the host.
      env: { TZ: 'UTC' },
      // Requests, nothing, nothing, responses, lifeline. Printed output may quote content and is dropped.
      stdio: ['pipe', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    lowerPriority(this.#child.pid);
    this.gone = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: null, signal: null }));
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    void this.gone.then(() => this.#close());
    for (const pipe of this.#pipes()) pipe.on('error', () => this.kill());
    const answers = this.#child.stdio?.[3];
    if (answers) this.#listen(answers as Readable);
  }

  /** Undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Returns the response, or how the process ended without one. One request at a time. */
  async send(header: object, body: Buffer, onBegun: () => void): Promise<Frame | Ended> {
    this.requests += 1;
    const answered = new Promise<Frame>((resolve) => {
      this.#onFrame = (frame) => {
        if ((frame.header as { is?: unknown } | null)?.is === 'begun') return onBegun();
        this.#onFrame = undefined;
        resolve(frame);
      };
    });
    const { stdin } = this.#child;
    if (stdin && !stdin.destroyed) for (const piece of framePieces(header, body)) stdin.write(piece);
    return await Promise.race([answered, this.gone]);
  }

  kill(): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    // Node sends no signal to a pid whose end it has seen, since the pid may be reused.
    this.#child.kill('SIGKILL');
  }

  #listen(answers: Readable): void {
    const reader = new FrameReader(this.#bounds);
    answers.on('data', (chunk: Buffer) => {
      if (this.#isKilled) return;
      try {
        for (const frame of reader.push(chunk)) {
          // A response without a request cannot come from the program that was started.
          if (this.#onFrame) this.#onFrame(frame);
          else this.kill();
        }
      } catch {
        this.kill();
      }
    });
  }

  #close(): void {
    for (const pipe of this.#pipes()) pipe.destroy();
  }

  /** Empty if there were no file descriptors left to start it. */
  #pipes(): (Readable | Writable)[] {
    return (this.#child.stdio ?? []).filter((pipe) => pipe !== null && pipe !== undefined);
  }
}

const SHELL = '/bin/sh';
const MIB = 1_048_576;

/** The shell disables core files: a process that runs out of memory aborts, and its memory contains content. */
function commandLine(entry: string, heapBytes: number): string[] {
  const node = [process.execPath, '--permission', '--allow-worker', ...readable(entry)];
  node.push(`--max-old-space-size=${Math.ceil(heapBytes / MIB)}`, entry);
  return existsSync(SHELL) ? [SHELL, '-c', 'ulimit -c 0; exec "$@"', 'sh', ...node] : node;
}

/** The code of sealdex, the readers, the packages of both, and their package.json files. Nothing next to them. */
function readable(entry: string): string[] {
  const code = dirname(HERE);
  const readers = readersFolder();
  const paths = new Set([dirname(entry), code, ...packagesOf(code)]);
  if (readers !== undefined) for (const path of [readers, ...packagesOf(readers)]) paths.add(path);
  return [...paths].map((path) => `--allow-fs-read=${path}`);
}

/** Folders in which Node resolves the imports of code in `from`. */
function packagesOf(from: string): string[] {
  const paths: string[] = [];
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    for (const path of [join(folder, 'node_modules'), join(folder, 'package.json')]) {
      if (existsSync(path)) paths.push(path, realpathSync(path));
    }
  }
  return paths;
}

/** Extraction is not urgent: other jobs and processes take precedence. */
function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, scheduling.priority);
  } catch {
    // The process has ended, or the system has no priorities.
  }
}
