// An extractor controlled by the file: its first word is the action.
import { readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { unreadable, unsupported } from '../../../src/extract/reasons.ts';
import { LIFELINE_FD, serve } from '../../../src/extract/child-main.ts';
import { exitWithParent, installSandbox } from '../../../src/extract/sandbox.ts';

exitWithParent(LIFELINE_FD);
installSandbox();

const held: unknown[] = [];

const resultOf = (value: unknown) => ({ contentType: 'text/plain', bytes: Buffer.from(JSON.stringify(value)) });

/** The error name of a failed attempt. */
async function failureOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
    return 'nothing';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  }
}

const connected = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    net.connect(port, '127.0.0.1').on('connect', resolve).on('error', reject);
  });

const DOES: Record<string, (argument: string) => unknown> = {
  pid: () => process.pid,
  loop: () => {
    for (;;) held[0] = Math.random();
  },
  wait: () => new Promise(() => {}),
  buffers: () => {
    const more = (): void => {
      held.push(Buffer.alloc(4_194_304, 1));
      setTimeout(more, 1);
    };
    more();
    return new Promise(() => {});
  },
  heap: () => {
    for (;;) held.push({ at: held.length, text: `x${held.length}` });
  },
  print: () => {
    console.log('{"is":"record"}');
    process.stdout.write('garbage');
    process.stderr.write('garbage');
    return 'printed';
  },
  later: () => {
    setTimeout(() => {
      throw new Error('content');
    }, 1);
    return new Promise(() => {});
  },
  afterwards: () => {
    setTimeout(() => {
      throw new Error('content');
    }, 20);
    return 'answered';
  },
  slow: () =>
    new Promise((resolve) => {
      setTimeout(resolve, 400, 'slow');
    }),
  stray: () => {
    void Promise.reject(new Error('content'));
    return new Promise((resolve) => {
      setTimeout(resolve, 20, 'went on');
    });
  },
  throw: () => {
    throw new Error('content');
  },
  refuse: () => {
    throw unreadable('pdf-encrypted');
  },
  unsupported: () => {
    throw unsupported('image/png');
  },
  environment: () => ({ env: process.env, cwd: process.cwd(), argv: process.execArgv }),
  reach: async (port) => ({
    connect: await failureOf(() => connected(Number(port))),
    fetch: await failureOf(() => fetch(`http://127.0.0.1:${port}/`)),
    lookup: await failureOf(async () => (await import('node:dns')).lookup('localhost', () => {})),
    resolve: await failureOf(async () => (await import('node:dns/promises')).resolve('localhost')),
    udp: await failureOf(async () => (await import('node:dgram')).createSocket('udp4').send('x', Number(port))),
    listen: await failureOf(() => net.createServer().listen(0)),
    thread: await failureOf(() => new Worker('', { eval: true })),
    process: await failureOf(() => spawnSync('true')),
    write: await failureOf(() => writeFileSync('/tmp/sealdex-hook', 'x')),
    read: await failureOf(() => readFileSync('/etc/hostname')),
  }),
};

serve(async (_, bytes) => {
  const [word = '', argument = ''] = bytes.toString().split(' ');
  return resultOf(await DOES[word]!(argument));
});
