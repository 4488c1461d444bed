// bin/sealdex.js as a user runs it: under an older Node, through a symlink, in a checkout and installed.
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const { engines, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly engines: { readonly node: string };
  readonly devDependencies: { readonly node: string };
};
/** Of an installed package, and of a checkout, run by Node without a build. */
const LEAST = { installed: engines.node.replace('>=', ''), checkout: `${parseInt(devDependencies.node.slice(1))}.0` };

let folder = '';

/** A package with the real bin and a command line that prints the arguments it received. */
function packageAt(name: string, entries: readonly ('src/cli/cli.ts' | 'dist/cli/cli.js')[]): string {
  const root = join(folder, name);
  cpSync(join(ROOT, 'bin'), join(root, 'bin'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "name": "sealdex", "type": "module" }');
  for (const entry of entries) {
    mkdirSync(join(root, entry, '..'), { recursive: true });
    writeFileSync(
      join(root, entry),
      `export const main = async (argv) => {
        const { pid, execArgv, env } = process;
        const started = { entry: '${entry}', args: argv.slice(2), cwd: process.cwd(), pid, execArgv, arenas: env.MALLOC_ARENA_MAX, hasChannel: process.connected };
        process.exitCode = 3;
        if (argv.includes('--until-signaled')) {
          const waiting = setInterval(() => {}, 1000);
          process.once('SIGTERM', () => { console.log('signaled'); clearInterval(waiting); });
        }
        // Last: whoever reads it may signal at once.
        console.log(JSON.stringify(started));
      };`,
    );
  }
  return join(root, 'bin', 'sealdex.js');
}

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'sealdex-bin-')));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Start {
  readonly node?: string;
  readonly flags?: readonly string[];
  readonly cwd?: string;
}

const start = (
  bin: string,
  args: readonly string[],
  { node = process.execPath, flags = [], cwd = folder }: Start = {},
) =>
  spawnSync(node, [...flags, bin, ...args], {
    cwd,
    encoding: 'utf8',
    timeout: 600_000,
    env: { PATH: process.env.PATH },
  });

/** Flags that make this Node report another version. */
const posingAs = (version: string): string[] => [
  '--import',
  `data:text/javascript,${encodeURIComponent(
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });
     Object.defineProperty(process, 'version', { value: 'v${version}' });`,
  )}`,
];

/** The Node on the PATH of the machine, which `npx` uses in a fresh checkout, if it is older than required. */
function olderNode(): { node: string; version: string } | undefined {
  for (const place of (process.env.PATH ?? '').split(delimiter)) {
    if (place === '' || resolve(place).endsWith(join('node_modules', '.bin'))) continue;
    try {
      const node = join(place, 'node');
      const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().slice(1);
      return Number(version.split('.')[0]) < Number(LEAST.installed.split('.')[0]) ? { node, version } : undefined;
    } catch {
      continue;
    }
  }
  return undefined;
}

const refusal = (version: string, place: keyof typeof LEAST) => ({
  status: 78,
  stdout: '',
  stderr: `sealdex needs Node ${LEAST[place]} or later; this is v${version}.\n`,
});

describe('an unsupported Node exits with 78 and one sentence', () => {
  test('for the first Node on the PATH of the machine, or a fake Node 20', () => {
    const bin = packageAt('older', ['src/cli/cli.ts', 'dist/cli/cli.js']);
    const { version, ...how } = olderNode() ?? { version: '20.20.2', flags: posingAs('20.20.2') };
    expect(start(bin, ['--help'], how)).toMatchObject(refusal(version, 'checkout'));
  });

  test.each(['18.0.0', '20.20.2', '22.0.0', '22.14.0'])('for %s, installed', (version) => {
    const bin = packageAt('older-installed', ['dist/cli/cli.js']);
    expect(start(bin, ['worker'], { flags: posingAs(version) })).toMatchObject(refusal(version, 'installed'));
  });

  test.each(['20.20.2', '22.23.3', '23.11.0'])('for %s, in a checkout', (version) => {
    const bin = packageAt('older', ['src/cli/cli.ts']);
    expect(start(bin, ['worker'], { flags: posingAs(version) })).toMatchObject(refusal(version, 'checkout'));
  });
});

test.each([`${LEAST.installed}.0`, '22.23.3', '23.0.0', '24.0.0', '26.1.0'])(
  'an installed package runs under Node %s',
  (version) => {
    const result = start(packageAt('newer-installed', ['dist/cli/cli.js']), [], { flags: posingAs(version) });
    expect(result).toMatchObject({ status: 3, stderr: '' });
  },
);

test('CONTRIBUTING.md names the Node of a checkout, and the one that the packages are compiled for', () => {
  const page = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  expect(page).toContain(
    `under Node ${parseInt(LEAST.checkout)}; what is published is compiled for Node ${LEAST.installed}.`,
  );
});

test.each([`${LEAST.checkout}.0`, '26.1.0'])('a checkout runs under Node %s', (version) => {
  const result = start(packageAt('newer', ['src/cli/cli.ts']), [], { flags: posingAs(version) });
  expect(result).toMatchObject({ status: 3, stderr: '' });
});

test('the command runs src in a checkout, and dist when installed', () => {
  const entryOf = (bin: string) => (JSON.parse(start(bin, []).stdout) as { entry: string }).entry;
  expect(entryOf(packageAt('checkout', ['src/cli/cli.ts', 'dist/cli/cli.js']))).toBe('src/cli/cli.ts');
  expect(entryOf(packageAt(join('node_modules', 'sealdex'), ['dist/cli/cli.js']))).toBe('dist/cli/cli.js');
});

test('the compile cache is in the folder of the checkout, and nowhere when installed', () => {
  start(packageAt('compiling', ['src/cli/cli.ts']), []);
  start(packageAt(join('node_modules', 'compiling'), ['dist/cli/cli.js']), []);
  expect(existsSync(join(folder, 'compiling', '.sealdex', 'compiled'))).toBe(true);
  expect(readdirSync(join(folder, 'node_modules', 'compiling')).sort()).toEqual(['bin', 'dist', 'package.json']);
});

test('the command passes on arguments, working folder and exit code through a symlink, as npx starts it', () => {
  const bin = packageAt('linked', ['src/cli/cli.ts']);
  const place = join(folder, 'node_modules', '.bin');
  const elsewhere = join(folder, 'a folder');
  mkdirSync(place, { recursive: true });
  mkdirSync(elsewhere, { recursive: true });
  symlinkSync(bin, join(place, 'sealdex'));
  const result = start(join(place, 'sealdex'), ['index', '--tenant', 'a b', '-'], { cwd: elsewhere });
  expect(result).toMatchObject({ status: 3, stderr: '' });
  expect(JSON.parse(result.stdout)).toMatchObject({
    entry: 'src/cli/cli.ts',
    args: ['index', '--tenant', 'a b', '-'],
    cwd: elsewhere,
  });
});

test('a shell can execute the command directly, with the Node of the PATH', () => {
  const bin = packageAt('executable', ['src/cli/cli.ts']);
  const PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
  expect(spawnSync(bin, [], { encoding: 'utf8', env: { PATH } })).toMatchObject({ status: 3, stderr: '' });
});

describe('a worker restarts itself with the flags that limit its memory', () => {
  const SMALL_HEAP = '--max-semi-space-size=2';

  interface Started {
    readonly pid: number;
    readonly args: readonly string[];
    readonly execArgv: readonly string[];
    readonly arenas?: string;
  }

  interface Watched {
    readonly child: ChildProcess;
    /** Output of the command line at its start. */
    readonly started: Promise<Started>;
    readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; output: string }>;
  }

  function watch(args: readonly string[], env: Record<string, string> = {}, ipc = false): Watched {
    const bin = packageAt('worker', ['src/cli/cli.ts']);
    const child = spawn(process.execPath, ['--no-deprecation', bin, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'inherit', ...(ipc ? (['ipc'] as const) : [])],
      timeout: 600_000,
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      output,
    }));
    const started = eventually(() => output.includes('\n') && (JSON.parse(output.split('\n')[0] ?? '') as Started));
    return { child, started, ended };
  }

  const flagsOf = ({ execArgv }: Started): string[] => execArgv.filter((flag) => flag === SMALL_HEAP);

  test('once, under the same process id, with its arguments, flags and exit code', async () => {
    const { child, started, ended } = watch(['worker', 'a b', '--', '"c"']);
    expect(await started).toMatchObject({ pid: child.pid, args: ['worker', 'a b', '--', '"c"'], arenas: '2' });
    expect((await started).execArgv).toEqual([SMALL_HEAP, '--no-deprecation']);
    expect(await ended).toMatchObject({ code: 3, signal: null });
    expect((await ended).output.trim().split('\n')).toHaveLength(1);
  });

  test('and receives signals as before', async () => {
    const first = watch(['worker', '--until-signaled']);
    await first.started;
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({
      code: 3,
      signal: null,
      output: expect.stringMatching(/\nsignaled\n$/) as string,
    });
    const second = watch(['worker', '--until-signaled']);
    await second.started;
    second.child.kill('SIGKILL');
    expect(await second.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  test('but not if the number of arenas is set', async () => {
    const { started, ended } = watch(['worker'], { MALLOC_ARENA_MAX: '8' });
    expect(await started).toMatchObject({ arenas: '8' });
    expect(flagsOf(await started)).toEqual([]);
    expect((await ended).code).toBe(3);
  });

  test('but not if its parent has a channel to it, which would be lost', async () => {
    const { started, ended } = watch(['worker'], {}, true);
    expect(flagsOf(await started)).toEqual([]);
    expect(await started).not.toHaveProperty('arenas');
    expect(await started).toMatchObject({ hasChannel: true });
    expect((await ended).code).toBe(3);
  });

  test.each([['index'], ['--help'], ['status', 'worker']])('and no other command does: %s %s', async (...args) => {
    const { started, ended } = watch(args.filter((arg) => arg !== undefined));
    expect(flagsOf(await started)).toEqual([]);
    expect(await started).not.toHaveProperty('arenas');
    await ended;
  });
});
