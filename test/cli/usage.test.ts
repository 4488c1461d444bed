// Wrong usage and wrong settings: one sentence with a remedy, the right exit code, nothing on standard output.
import type { Command } from 'commander';
import { afterAll, describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { runInProcess } from './in-process.ts';
import { linesOf } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const SETTINGS = {
  SEALDEX_BUCKET: 'bucket',
  SEALDEX_PLATFORM_KEY_ARN: 'arn:aws:kms:us-west-2:111122223333:key/1',
  AWS_REGION: 'us-west-2',
  AWS_ACCESS_KEY_ID: 'id',
};

const pathOf = (command: Command): string[] => (command.parent ? [...pathOf(command.parent), command.name()] : []);

const commandsOf = (command: Command): Command[] => [command, ...command.commands.flatMap(commandsOf)];

const helpOf = (command: Command): string => {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
};

const COMMANDS = commandsOf(await buildProgram());

describe('help', () => {
  test.each(COMMANDS.map((command) => [`sealdex ${pathOf(command).join(' ')}`.trim(), command]))(
    '%s has a description, and an example that begins with the command',
    (name, command) => {
      const help = helpOf(command);
      expect(help).toMatch(/\nExamples?:\n/);
      expect(help.slice(help.indexOf('Example'))).toContain(name);
      expect(command.description()).not.toBe('');
    },
  );

  test('has no line wider than 110 characters', () => {
    const lines = COMMANDS.flatMap((command) => linesOf(helpOf(command)));
    expect(lines.filter((line) => line.length > 110)).toEqual([]);
  });

  test('has no line wider than 80 characters, except commands to copy', () => {
    const lines = COMMANDS.flatMap((command) => linesOf(helpOf(command)));
    const isCommand = (line: string): boolean => /^ {2}(?:[A-Z_]+=\S+ )*(?:npx )?sealdex /.test(line);
    expect(lines.filter((line) => line.length > 80 && !isCommand(line))).toEqual([]);
    expect(lines.filter((line) => line.length > 80 && / {2,}\S/.test(line.trim()))).toEqual([]);
  });

  test.each([
    ['--help'],
    ['help', 'index'],
    ['worker', '--help'],
    ['tenants', 'put', '-h'],
    ['dev', '--help'],
    ['--version'],
  ])('works without any setting: sealdex %s %s', async (...args) => {
    const { code, stdout, stderr } = await runInProcess(args.filter((arg) => arg !== undefined));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(args[0] === '--version' ? /^\d+\.\d+\.\d+\n$/ : /^Usage: sealdex/);
  });
});

describe.concurrent('wrong usage exits with 64 and a reference to the help:', () => {
  test.each<[string[], RegExp]>([
    [['idnex'], /^sealdex: unknown command 'idnex' \(did you mean index\?\)\. See: sealdex --help\n$/],
    [['status', '--jsn'], /^sealdex: unknown option '--jsn' \(did you mean --json\?\)\. See: sealdex status --help\n$/],
    [['index', 'x.json'], /^sealdex: required option '--tenant <name>' not specified\. See: sealdex index --help\n$/],
    [
      ['index', '--tenat', 'a', '--corpus', 'b', 'x.json'],
      /^sealdex: unknown option '--tenat' \(did you mean --tenant\?\)\. See: sealdex index --help\n$/,
    ],
    [['delete', '--corpus', 'b', '--tenat=a', 'x'], /^sealdex: unknown option '--tenat=a' \(did you mean --tenant/],
    [['delete', '--corpus', 'b', 'x', '-'], /^sealdex: required option '--tenant <name>' not specified\./],
    [['index', '--tenant', 'a', '--corpus', 'b'], /^sealdex: missing required argument 'file'\. See: sealdex index/],
    [['read', '--tenant', 'a', '--corpus', 'b'], /^sealdex: missing required argument 'id'\. See: sealdex read --help/],
    [['status', 'now'], /^sealdex: too many arguments for 'status'.*\. See: sealdex status --help\n$/],
    [['tenants', 'make'], /^sealdex: unknown command 'make'\. See: sealdex tenants --help\n$/],
    [
      ['tenants', 'put', 'a'],
      /^sealdex: Nothing to change\. Use --plan, --key, --when-key-shut or --keep-originals\.\n$/,
    ],
    [['tenants', 'put', 'a', '--when-key-shut', 'wait'], /'wait' is invalid\. Allowed choices are park, refuse\. See:/],
    [['tenants', 'pause', 'a'], /^sealdex: required option '--reason <text>'.*\. See: sealdex tenants pause --help\n$/],
    [['dev', '--port', '65533'], /'65533' is invalid\. Expected 0 to 65532\. See: sealdex dev --help\n$/],
    [['dev', 'now'], /^sealdex: too many arguments for 'dev'.*\. See: sealdex dev --help\n$/],
    [['parked', 'list', '--limit', '0'], /'0' is invalid\. Expected a positive integer\. See:/],
    [['tenants', 'put', 'a', '--plan', 'gold'], /'gold' is invalid\. Allowed choices are free, pro, enterprise\. See:/],
    [['list', '--tenant', 'a', '--corpus', 'b', '--limit', '0'], /'0' is invalid\. Expected a positive integer\. See:/],
    [['jobs', 'show', 'j123'], /^sealdex: Invalid job id: expected j followed by 32 hex digits\.\n$/],
    [
      ['index', '--tenant', 'a', '--corpus', 'b', '-', '-'],
      /^sealdex: Use - only once: standard input can be read only once\.\n$/,
    ],
  ])('sealdex %j', async (args, sentence) => {
    const { code, stdout, stderr } = await runInProcess(args);
    expect(stderr).toMatch(sentence);
    expect({ code, stdout, lines: linesOf(stderr).length }).toEqual({ code: 64, stdout: '', lines: 1 });
  });

  test.each([[[]], [['tenants']], [['keys']], [['parked']], [['jobs']], [['audit']], [['corpora']], [['dev', 'key']]])(
    'sealdex %j without a subcommand lists its subcommands',
    async (args) => {
      const { code, stdout, stderr } = await runInProcess(args);
      expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
      expect(stderr).toMatch(/^Usage: sealdex/);
      expect(stderr).toContain('\nCommands:\n');
    },
  );
});

describe.concurrent('names are checked before anything is opened, and the field is named:', () => {
  test.each([
    ['tenant', ['index', '--tenant', 'a/b', '--corpus', 'docs', 'missing.json']],
    ['corpus', ['index', '--tenant', 'acme', '--corpus', 'a/b', 'missing.json']],
    ['tenant', ['read', '--tenant', 'a b', '--corpus', 'docs', 'id']],
    ['corpus', ['read', '--tenant', 'acme', '--corpus', '../x', 'id']],
    ['tenant', ['list', '--tenant', '', '--corpus', 'docs']],
    ['corpus', ['list', '--tenant', 'acme', '--corpus', 'x'.repeat(51)]],
    ['tenant', ['tenants', 'show', 'a/b']],
    ['tenant', ['tenants', 'pause', 'a/b', '--reason', 'x']],
    ['tenant', ['keys', 'list', '--tenant', 'a/b']],
    ['tenant', ['parked', 'list', '--tenant', 'a/b']],
    ['tenant', ['tenants', 'put', 'ä', '--plan', 'free']],
  ])('%s of sealdex %j', async (field, args) => {
    expect(await runInProcess(args)).toMatchObject({
      code: 65,
      stdout: '',
      stderr: `sealdex: ${field} must be 1 to 50 letters, digits, _, = or - (DOCUMENT_INVALID).\n`,
    });
  });
});

describe('a command', () => {
  const COMMANDS: string[][] = [['status'], ['worker'], ['list', '--tenant', 'a', '--corpus', 'b']];

  test.each(COMMANDS)('lists all missing settings and a hint how to try sealdex: sealdex %s', async (...args) => {
    const { code, stdout, stderr } = await runInProcess(args, { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      'sealdex: Invalid settings (CONFIG_INVALID):',
      expect.stringMatching(/^ {2}REDIS_URL is required \(/),
      expect.stringMatching(/^ {2}SEALDEX_BUCKET is required \(/),
      expect.stringMatching(/^ {2}SEALDEX_PLATFORM_KEY_ARN is required \(/),
      'To try sealdex without AWS: sealdex dev',
    ]);
  });

  test.each<[string, ...string[]]>([
    ...(COMMANDS as [string, ...string[]][]),
    ['delete', '--tenant', 'a', '--corpus', 'b', 'c'],
  ])('rejects unknown settings: sealdex %s', async (...args) => {
    const { code, stderr } = await runInProcess(args, { cwd: folder.path, env: { SEALDEX_BUCKETS: 'documents' } });
    expect(code).toBe(78);
    expect(stderr).toContain('SEALDEX_BUCKETS is not a known setting; did you mean SEALDEX_BUCKET?');
  });

  test('lists all invalid settings and prints no value', async () => {
    const { code, stdout, stderr } = await runInProcess(['worker'], {
      settings: { ...SETTINGS, REDIS_URL: 'secret', SEALDEX_CONCURRENCY: 'secret', AWS_SECRET_ACCESS_KEY: '' },
      env: { SEALDEX_TYPO: 'secret' },
    });
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      'sealdex: Invalid settings (CONFIG_INVALID):',
      '  SEALDEX_TYPO is not a known setting',
      '  REDIS_URL must be a URL that begins with redis:// or rediss://',
      '  SEALDEX_CONCURRENCY must be a whole number from 1 to 1000',
      '  AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together',
    ]);
  });
});
