// Redis server: starts a redis-server child on a free port, waits until it is ready, and stops it.
// The child also ends if this process is killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, reachableAt } from '../ports.ts';
import { findRedis, type RedisBinary } from './redis-binary.ts';
import { isReady } from './redis-ready.ts';

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** Folder of the append-only file, which survives a restart. Without it nothing is kept. */
  readonly dir?: string;
  readonly port?: number;
  readonly host?: string;
  /** `noeviction` by default. */
  readonly maxmemoryPolicy?: string;
  /** Aborts a start in progress, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const READY_DEADLINE_MS = 60_000;
const POLL_MS = 10;
const STOP_DEADLINE_MS = 5_000;
/** Another process may take a port after it was found free and before Redis binds it. */
const PORT_TRIES = 5;
const KEPT_OUTPUT_CHARS = 4_000;

/**
 * A shell that starts a guard and then becomes Redis by exec, so that the child's pid is that of Redis. The guard reads a
 * pipe from this process. A line means a clean stop. End of file without a line means that this process died: the guard
 * then kills Redis and removes a temporary folder. SIGKILL loses no data, since acknowledged writes are in the file.
 */
const GUARDED = `
exec 3<&0
(
  if read -r line <&3; then exit 0; fi
  kill -9 $$
  if [ -n "$TEMPORARY_DIR" ]; then rm -rf -- "$TEMPORARY_DIR"; fi
) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
`;

/** The same error as from Node's own servers: `code` is `EADDRINUSE`, and `port` is that port. */
const portTaken = (address: string, port: number): Error =>
  Object.assign(new Error(`listen EADDRINUSE: address already in use ${address}:${port}`), {
    code: 'EADDRINUSE',
    syscall: 'listen',
    address,
    port,
  });

/** @throws Error, one sentence, if Redis is not ready within 1 minute; with code `EADDRINUSE` for a port in use */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const binary = await findRedis(options.signal === undefined ? {} : { signal: options.signal });
  const temporary = options.dir === undefined ? await mkdtemp(join(tmpdir(), 'sealdex-redis-')) : undefined;
  const dir = resolve(temporary ?? options.dir ?? '');
  const clean = async (): Promise<void> => {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  };
  try {
    if (temporary === undefined) await mkdir(dir, { recursive: true });
    return await startInside(options, binary, dir, clean);
  } catch (error) {
    await clean();
    throw error;
  }
}

async function startInside(
  options: RedisOptions,
  binary: RedisBinary,
  dir: string,
  clean: () => Promise<void>,
): Promise<RedisServer> {
  const host =
    options.host === undefined || options.host === '0.0.0.0' || options.host === '::' ? '127.0.0.1' : options.host;
  for (let round = 1; ; round += 1) {
    options.signal?.throwIfAborted();
    const port = options.port ?? (await freePort(options.host));
    const child = new RedisChild(binary, redisArguments(options, dir, port), options.dir === undefined ? dir : '');
    try {
      await child.ready(host, port, options.signal);
      return serverOf(child, host, port, clean);
    } catch (error) {
      await child.stop();
      if (!child.portWasTaken) throw error;
      if (options.port !== undefined || round === PORT_TRIES) throw portTaken(host, port);
    }
  }
}

function serverOf(child: RedisChild, host: string, port: number, clean: () => Promise<void>): RedisServer {
  let stopping: Promise<void> | undefined;
  return {
    url: `redis://${reachableAt(host, port)}`,
    port,
    pid: child.pid,
    stop: () => (stopping ??= child.stop().then(clean)),
  };
}

function redisArguments(options: RedisOptions, dir: string, port: number): string[] {
  const kept = options.dir !== undefined;
  const settings: Record<string, string> = {
    bind: options.host ?? '127.0.0.1',
    port: String(port),
    'protected-mode': options.host === undefined ? 'yes' : 'no',
    dir,
    save: '',
    appendonly: kept ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': options.maxmemoryPolicy ?? 'noeviction',
    loglevel: 'warning',
    logfile: '',
    daemonize: 'no',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

const lastLine = (output: string): string => output.trim().split('\n').at(-1) ?? 'it said nothing';

class RedisChild {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #hasEnded = false;
  #output = '';

  constructor(binary: RedisBinary, args: string[], temporary: string) {
    this.#child = spawn('/bin/sh', ['-c', GUARDED, 'redis', binary.path, ...args], {
      // A session of its own: Ctrl-C must not stop Redis before this process has drained its jobs.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...binary.env, TEMPORARY_DIR: temporary },
    });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-KEPT_OUTPUT_CHARS);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.#child.stdin?.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#hasEnded = true;
        this.#child.stdin?.end('ended\n');
        resolve();
      };
      this.#child.once('exit', end);
      this.#child.once('error', end);
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get portWasTaken(): boolean {
    return /address already in use|could not create server tcp listening socket/i.test(this.#output);
  }

  async ready(host: string, port: number, signal: AbortSignal | undefined): Promise<void> {
    const deadline = performance.now() + READY_DEADLINE_MS;
    while (!(await isReady(host, port, this.pid))) {
      if (this.#hasEnded) throw new Error(`redis-server did not start: ${lastLine(this.#output)}`);
      if (performance.now() > deadline) {
        throw new Error(`redis-server was not ready within ${READY_DEADLINE_MS / 1000} s.`);
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await this.#ended;
    clearTimeout(late);
  }
}
