// `sealdex completion`: the completions of a real bash, and all commands, options and choices in every script.
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { commandsBelow } from '../../src/cli/completion.ts';
import { runInProcess } from './in-process.ts';
import { linesOf } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

const folder = temporaryFolder();
const fileOf = (shell: string): string => join(folder.path, shell);
const scripts = new Map<string, string>();

beforeAll(async () => {
  for (const shell of SHELLS) {
    const { stdout } = await runInProcess(['completion', shell]);
    writeFileSync(fileOf(shell), stdout);
    scripts.set(shell, stdout);
  }
});

afterAll(() => folder[Symbol.dispose]());

/** Completions of the last word in bash. */
function completed(...words: string[]): string[] {
  const script = `
    source "$0"
    COMP_WORDS=(sealdex "$@") COMP_CWORD=$#
    _sealdex
    ((\${#COMPREPLY[@]})) && printf '%s\\n' "\${COMPREPLY[@]}"
    exit 0`;
  return linesOf(execFileSync('bash', ['--norc', '-c', script, fileOf('bash'), ...words], { encoding: 'utf8' }));
}

describe('bash completes', () => {
  test.each<[string, string[], string[]]>([
    ['a command', ['ten'], ['tenants']],
    ['a subcommand', ['tenants', 're'], ['reencrypt', 'resume']],
    ['an option of a subcommand', ['tenants', 'list', '--'], ['--deleted', '--wide', '--json', '--help']],
    ['a choice of an option', ['doctor', '--role', ''], ['worker', 'producer', 'reader']],
    ['a state of jobs list', ['jobs', 'list', '--state', 'p'], ['parked']],
    ['a choice after other options', ['keys', 'check', '--shared', '--plan', 'e'], ['enterprise']],
    ['a choice of an argument', ['policy', 'r'], ['reader']],
    ['the options of a command after its other words', ['index', '--tenant', 'list', '--c'], ['--corpus']],
    ['an option of the program', ['--v'], ['--version']],
    ['no words for a value that is not a choice, so that bash completes files', ['index', '--tenant', ''], []],
    ['no words where a file is expected', ['extract', ''], []],
  ])('%s', (_, words, expected) => {
    expect(completed(...words)).toEqual(expected);
  });

  test('all commands after the name of the program', async () => {
    const [program] = commandsBelow(await buildProgram());
    expect(completed('')).toEqual(program?.words.map(({ word }) => word));
    expect(completed('')).toContain('completion');
  });
});

describe.each(SHELLS)('the script for %s', (shell) => {
  test('has every command, option and choice', async () => {
    const text = scripts.get(shell) ?? '';
    const words = new Set(text.split(/[^\w-]+/));
    const commands = commandsBelow(await buildProgram());
    expect(commands.length).toBeGreaterThan(40);
    for (const { path, words: below, options } of commands) {
      expect(text).toContain(`'${path}'`);
      const names = [...below, ...options.flatMap((option) => [option, ...option.choices])].map(({ word }) => word);
      const inShell = names.map((name) => (shell === 'fish' ? name.replace(/^--/, '') : name));
      expect(inShell.filter((name) => !words.has(name))).toEqual([]);
    }
  });

  test.skipIf(spawnSync(shell, ['--version']).error !== undefined)('is valid', () => {
    const { status, stderr } = spawnSync(shell, ['-n', fileOf(shell)], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

test('completion rejects an unknown shell with 64', async () => {
  const { code, stdout, stderr } = await runInProcess(['completion', 'tcsh']);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(
    /'tcsh' is invalid for argument 'shell'\. Allowed choices are bash, zsh, fish\. See: sealdex completion --help\n$/,
  );
});
