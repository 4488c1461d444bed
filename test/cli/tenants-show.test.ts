// The text output of `sealdex tenants show`.
import { expect, test } from 'vitest';
import type { TenantFile } from '../../src/app/app.ts';
import { textOfLine } from '../../src/cli/terminal.ts';
import { linesOf, unwrapped } from './output.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { tenantLines } from '../../src/cli/tenants-show.ts';

const KEY = 'arn:aws:kms:us-west-2:111122223333:key/new';
const FORMER = 'arn:aws:kms:us-west-2:111122223333:key/old';

const FILE: TenantFile = {
  v: 1,
  tenant: 'acme',
  plan: 'pro',
  kmsKeyArn: KEY,
  formerKeyArns: [FORMER],
  whenKeyShut: 'refuse',
  keepOriginals: true,
  blockedKeys: [],
  history: [],
};

const NONE = { jobs: 0, bytes: 0 };

test('tenants show prints the attributes of a tenant, its dead letters and the command that lists them', () => {
  expect(tenantLines({ file: FILE, gates: [], parked: { jobs: 0 }, deadLetters: 3, platformKeyContent: NONE })).toEqual(
    [
      'tenant        acme',
      'plan          pro',
      `key           ${KEY}`,
      `former key    ${FORMER}`,
      'gate          open',
      'if shut       new content is rejected',
      'originals     uploaded files are kept, encrypted',
      'parked jobs   0',
      'dead letters  3',
      '',
      'Dead letters: sealdex dead list --tenant acme',
    ],
  );
});

test('tenants show prints how much content is under the platform key', () => {
  const view = { file: FILE, gates: [], parked: { jobs: 0 }, deadLetters: 0 };
  expect(tenantLines({ ...view, platformKeyContent: { jobs: 2, bytes: 20_480 } })).toContain(
    'platform key  encrypts the content of 2 jobs, 20KiB',
  );
});

test('tenants show names the key of a gate that is not the gate of the current key', () => {
  const gate = {
    ...keyRef('acme', FORMER),
    state: 'shut',
    code: 'KEY_DISABLED',
    since: 0,
    jobs: 1,
    probes: 0,
    whoActs: 'tenant',
    explanation: 'Jobs resume automatically after the key is enabled.',
    commands: ['aws kms enable-key'],
  } as const;
  const view = { file: FILE, gates: [gate], parked: { jobs: 1, oldest: 0 }, deadLetters: 0, platformKeyContent: NONE };
  const lines = linesOf(unwrapped(tenantLines(view).map(textOfLine).join('\n')));
  expect(lines).toContainEqual(
    expect.stringMatching(
      `^gate          shut since 1970-01-01T00:00:00Z \\(\\d+d ago\\): the tenant's KMS key is disabled \\(KEY_DISABLED\\), ${FORMER}$`,
    ),
  );
  expect(lines.slice(-3)).toEqual([
    'Action by: tenant',
    '    Jobs resume automatically after the key is enabled.',
    '    aws kms enable-key',
  ]);
});
