// docs/tenant-keys.md compared with the code: its policies equal the printed ones and are valid in KMS, its commands exist.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { type KmsServer, startKms } from '@sealdex/local-aws';
import { documentOf } from '../../src/policies/policy-document.ts';
import { keyPolicy, keyStatements } from '../../src/policies/key-policy.ts';
import { commandLinesOf, faultOf } from './command-lines.ts';
import { denialsOnPage, grantOnPage, KEY_PAGE as PATH, PAGE_ROLE } from './key-page.ts';
import { fileOf } from './pages.ts';

const PAGE = fileOf(PATH);
const CHOICE = { principal: PAGE_ROLE, tenant: 'acme' };

let kms: KmsServer;

beforeAll(async () => {
  kms = await startKms();
});
afterAll(() => kms.stop());

test('the policy on the page equals the output of its command', () => {
  expect(PAGE).toContain(`sealdex keys policy --principal ${CHOICE.principal} --tenant ${CHOICE.tenant}\n`);
  expect(grantOnPage()).toEqual(documentOf(keyStatements(CHOICE)));
});

test('KMS accepts the policy, and the denial of a day beside it', () => {
  for (const [denied, byCondition] of denialsOnPage().map((one, index) => [one, index === 1] as const)) {
    const { Version, Statement } = keyPolicy({ ...CHOICE, byCondition }, '444455556666');
    const key = kms.createKey();
    expect(() => kms.setPolicy(key, { Version, Statement: [...Statement, denied] })).not.toThrow();
    expect(Statement.at(-1)).toMatchObject({ Principal: (denied as { Principal: unknown }).Principal });
  }
});

test('every command on the page can be run unchanged', async () => {
  const lines = commandLinesOf(PATH);
  expect(lines.length).toBeGreaterThan(3);
  for (const line of lines) expect(await faultOf(buildProgram, line)).toBeUndefined();
});
