// Runs bin/local-aws.js in a process of its own, which no test outlives.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../bin/local-aws.js', import.meta.url));

interface BinEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface BinProcess {
  readonly child: ChildProcess;
  /** Rejects with the output if the process ends first. */
  readonly ready: Promise<void>;
  readonly ended: Promise<BinEnd>;
  /** The URL printed by a listening service. */
  urlOf(service: 'S3' | 'KMS' | 'Redis'): string | undefined;
}

const running = new Set<ChildProcess>();

export function startBin(args: readonly string[], command: readonly string[] = [process.execPath, BIN]): BinProcess {
  const [file = '', ...before] = command;
  const child = spawn(file, [...before, ...args], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const text = { stdout: '', stderr: '' };
  const ended = once(child, 'close').then(([code]): BinEnd => {
    running.delete(child);
    return { code: code as number | null, ...text };
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text.stdout += chunk.toString();
      if (/^Ready\.$/m.test(text.stdout)) resolve();
    });
    child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
    void ended.then(({ code, stderr }) => reject(new Error(`local-aws ended with ${code}: ${stderr}`)));
  });
  ready.catch(() => undefined);
  const urlOf = (service: string): string | undefined =>
    new RegExp(`^${service} listens on (\\S+)$`, 'm').exec(text.stdout)?.[1];
  return { child, ready, ended, urlOf };
}

/** To be called after each test. */
export async function killAll(): Promise<void> {
  for (const child of running) {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
}
