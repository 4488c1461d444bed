// `sealdex keys policy` and `sealdex policy`: only JSON on standard output, no settings needed, one clear error.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { keyPolicy, keyStatements } from '../../src/policies/key-policy.ts';
import { documentOf } from '../../src/policies/policy-document.ts';
import { rolePolicy, ROLES } from '../../src/policies/role-policy.ts';
import { runInProcess } from './in-process.ts';
import { linesOf } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';

const ROLE = 'arn:aws:iam::111122223333:role/sealdex';
const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1';
const OURS = ['keys', 'policy', '--principal', ROLE, '--tenant', 'acme'];
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

describe('keys policy', () => {
  const choice = { principal: ROLE, tenant: 'acme' };

  test.each<[string[], unknown]>([
    [[], documentOf(keyStatements(choice))],
    [['--by-condition'], documentOf(keyStatements({ ...choice, byCondition: true }))],
    [['--without-context'], documentOf(keyStatements({ ...choice, withoutContext: true }))],
    [['--account', '444455556666'], keyPolicy(choice, '444455556666')],
  ])('%j prints only JSON, with or without --json', async (options, policy) => {
    for (const more of [[], ['--json']]) {
      const { code, stdout, stderr } = await runInProcess([...OURS, ...options, ...more]);
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual(policy);
      expect(linesOf(stdout).length === 1).toBe(more.length === 1);
      expect(stderr).not.toBe('');
    }
  });

  /** Runs the printed script with an `aws` that records its arguments and prints responses. */
  function shell(
    script: string,
    { region = 'eu-north-1', fails = 'none', env = {} }: { region?: string; fails?: string; env?: object } = {},
  ): { calls: string[][]; stdout: string; stderr: string; status: number | null } {
    const notes = join(folder.path, 'calls');
    const aws = join(folder.path, 'aws');
    writeFileSync(notes, '');
    writeFileSync(
      aws,
      [
        '#!/bin/sh',
        `printf '%s\\0' "$@" >> ${notes}; printf '\\n\\0' >> ${notes}`,
        'case "$1 $2" in',
        `  "kms ${fails}") exit 254;;`,
        '  "sts get-caller-identity") echo 444455556666;;',
        '  "kms create-key") echo mrk-1;;',
        region === '' ? '  "configure get") exit 1;;' : `  "configure get") echo ${region};;`,
        '  *) echo arn;;',
        'esac',
      ].join('\n'),
    );
    chmodSync(aws, 0o700);
    const { stdout, stderr, status } = spawnSync('sh', [], {
      input: script,
      encoding: 'utf8',
      env: { PATH: `${folder.path}:${process.env['PATH'] ?? ''}`, ...env },
    });
    const calls = readFileSync(notes, 'utf8').split('\n\0').slice(0, -1);
    return { calls: calls.map((call) => call.split('\0').slice(0, -1)), stdout, stderr, status };
  }

  test('--commands creates a key with the full policy in the region of the caller and prints its ARN', async () => {
    const { stdout: script } = await runInProcess([...OURS, '--commands', '--region', 'eu-west-1']);
    const { calls, stdout, status } = shell(script);
    expect({ stdout, status }).toEqual({ stdout: 'arn\n', status: 0 });
    const [, create = [], describing = []] = calls;
    expect(create.slice(0, 2)).toEqual(['kms', 'create-key']);
    expect(JSON.parse(create[create.indexOf('--policy') + 1] ?? '')).toEqual(keyPolicy(choice, '444455556666'));
    expect([create.at(-1), create.includes('--multi-region')]).toEqual(['eu-west-1', false]);
    expect(describing.slice(0, 6)).toEqual(['kms', 'describe-key', '--key-id', 'mrk-1', '--region', 'eu-west-1']);
  });

  test.each<[string[], string]>([
    [['--multi-region', 'eu-central-1'], 'eu-central-1'],
    [['--multi-region'], 'eu-north-1'],
  ])(
    '--commands %j creates a primary there and a replica in the region of the caller, each with the policy',
    async (options, primary) => {
      const { stdout: script } = await runInProcess([...OURS, '--commands', ...options]);
      const { calls } = shell(script);
      const create = calls.find(([, name]) => name === 'create-key') ?? [];
      const replicate = calls.find(([, name]) => name === 'replicate-key') ?? [];
      expect(create).toEqual(expect.arrayContaining(['--multi-region', '--region', primary]));
      expect(replicate.slice(2, 8)).toEqual([
        '--key-id',
        'mrk-1',
        '--region',
        primary,
        '--replica-region',
        'us-west-2',
      ]);
      expect(JSON.parse(replicate[9] ?? '')).toEqual(keyPolicy(choice, '444455556666'));
    },
  );

  test.each<[string, Parameters<typeof shell>[1], RegExp]>([
    [
      'is the region of the replica',
      { region: 'us-west-2' },
      /^The AWS CLI uses us-west-2, the region of the replica\. Set AWS_REGION/,
    ],
    [
      'is the region of the replica by its environment',
      { env: { AWS_REGION: 'us-west-2' } },
      /^The AWS CLI uses us-west-2/,
    ],
    ['is not set', { region: '' }, /^The AWS CLI has no region\. Set AWS_REGION/],
  ])('--commands --multi-region creates no key if the region of the AWS CLI %s', async (_, there, sentence) => {
    const { stdout: script } = await runInProcess([...OURS, '--commands', '--multi-region']);
    const { calls, stdout, stderr, status } = shell(script, there);
    expect({ stdout, status, lines: linesOf(stderr).length }).toEqual({ stdout: '', status: 1, lines: 1 });
    expect(stderr).toMatch(sentence);
    expect(calls.filter(([service]) => service === 'kms')).toEqual([]);
  });

  test('--commands --multi-region prefers the region of the environment to that of the file', async () => {
    const { stdout: script } = await runInProcess([...OURS, '--commands', '--multi-region']);
    const { calls } = shell(script, { region: 'us-west-2', env: { AWS_DEFAULT_REGION: 'eu-west-3' } });
    expect(calls.find(([, name]) => name === 'create-key')?.at(-1)).toBe('eu-west-3');
  });

  test.each([
    [['--multi-region', 'eu-central-1'], 'replicate-key', 'Created key mrk-1 in eu-central-1.'],
    [[], 'describe-key', 'Created key mrk-1 in us-west-2.'],
  ])('--commands %j prints the created key when a later command fails', async (options, fails, printed) => {
    const { stdout: script } = await runInProcess([...OURS, '--commands', ...options]);
    const { stdout, stderr, status } = shell(script, { fails });
    expect({ stdout, status, printed: linesOf(stderr) }).toEqual({ stdout: '', status: 254, printed: [printed] });
  });
});

describe('policy', () => {
  const facts = { bucket: 'my-bucket', platformKeyArn: KEY, queue: 'main' };
  const asOptions = ['--bucket', 'my-bucket', '--platform-key', KEY];
  const asSettings = { SEALDEX_BUCKET: 'my-bucket', SEALDEX_PLATFORM_KEY_ARN: KEY };

  test.each(ROLES)('%s prints only JSON, from options or from settings', async (role) => {
    const answers = [
      await runInProcess(['policy', role, ...asOptions]),
      await runInProcess(['policy', role, '--json'], { settings: asSettings }),
    ];
    for (const { code, stdout } of answers) {
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual(rolePolicy(role, facts));
    }
  });

  test('includes the queue and former platform keys', async () => {
    const former = KEY.replace('key/1', 'key/0');
    const settings = { ...asSettings, SEALDEX_PLATFORM_FORMER_KEY_ARNS: former };
    const { stdout } = await runInProcess(['policy', 'worker', '--queue', 'second'], { settings });
    expect(JSON.parse(stdout)).toEqual(
      rolePolicy('worker', { ...facts, queue: 'second', platformFormerKeyArns: [former] }),
    );
    expect(stdout).toContain('arn:aws:s3:::my-bucket/system/second/birth');
    expect(stdout).toContain(former);
  });
});

test.each<[string[], RegExp]>([
  [['keys', 'policy', '--principal', 'arn:aws:iam::1:user/a', '--tenant', 'a'], /must be the ARN of an IAM role/],
  [[...OURS, '--account', '12'], /--account must be 12 digits/],
  [[...OURS, '--region', 'us-west-2'], /--region and --multi-region require --commands\./],
  [[...OURS, '--commands', '--json'], /--commands cannot be combined with --account or --json/],
  [[...OURS, '--commands', '--region', 'us west'], /Invalid region/],
  [[...OURS, '--commands', '--multi-region', 'us-west-2'], /The primary region is already us-west-2\./],
  [['policy', 'worker'], /Use --bucket or set SEALDEX_BUCKET\./],
  [['policy', 'worker', '--bucket', 'B'], /--bucket must be the name of an S3 bucket/],
  [['policy', 'worker', '--bucket', 'bbb', '--platform-key', 'alias/a'], /--platform-key must be the full ARN/],
  [
    ['policy', 'admin'],
    /'admin' is invalid for argument 'role'\. Allowed choices are worker, producer, reader, operator/,
  ],
])('wrong usage exits with 64 and one sentence: %j', async (args, sentence) => {
  const { code, stdout, stderr } = await runInProcess(args);
  expect({ code, stdout, lines: linesOf(stderr).length }).toEqual({ code: 64, stdout: '', lines: 1 });
  expect(stderr).toMatch(sentence);
});

test('keys policy names an invalid tenant', async () => {
  const { code, stderr } = await runInProcess([...OURS.slice(0, -1), 'a/b']);
  expect({ code, stderr }).toEqual({
    code: 65,
    stderr: 'sealdex: tenant must be 1 to 50 letters, digits, _, = or - (DOCUMENT_INVALID).\n',
  });
});
