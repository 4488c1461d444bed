// `sealdex keys check`: its lines, its JSON, and its exit codes.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { KMS_ERRORS } from '@sealdex/local-aws';
import { jsonOf, linesOf, type Ended } from './output.ts';
import { openScene, type Scene } from './fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
});
afterEach(() => scene.services.kms.faults.clear());
afterAll(() => scene[Symbol.asyncDispose]());

const check = (arn: string, ...more: string[]): Promise<Ended> =>
  scene.sealdex(['keys', 'check', arn, '--tenant', 'acme', ...more]);

test('keys check prints one line per step, warnings with a remedy, and exits with 0 for a usable key', async () => {
  const { code, stdout, stderr } = await check(scene.services.kms.createKey(), '--wide');
  expect({ code, stderr }).toEqual({ code: 0, stderr: 'The key can be attached to tenant acme.\n' });
  const lines = linesOf(stdout);
  expect(lines).toHaveLength(16);
  expect(lines.map((line) => line.slice(0, 6).trim()).filter((word) => word !== 'ok')).toEqual(['warn']);
  expect(lines[0]).toBe('ok    arn             Full ARN of a key in us-west-2.');
  expect(lines).toContainEqual(
    expect.stringMatching(
      /^warn  other tenant {4}The key policy does not restrict .* Ask the tenant to add the condition/,
    ),
  );
});

test('keys check prints FAIL, the observation, the actor and the remedy, and exits with 65 for an unusable key', async () => {
  const arn = scene.services.kms.createKey();
  scene.services.kms.disable(arn);
  const { code, stdout, stderr } = await check(arn, '--wide');
  expect({ code, stderr }).toEqual({ code: 65, stderr: 'The key cannot be attached to tenant acme.\n' });
  expect(linesOf(stdout)).toContain('FAIL  key state       The key is Disabled. Ask the tenant to enable the key.');
});

test('keys check reports for the attached key whether the tenant can use it', async () => {
  expect((await check(scene.keyArn)).stderr).toBe('Tenant acme can use its KMS key.\n');
  scene.services.kms.disable(scene.keyArn);
  expect(await check(scene.keyArn)).toMatchObject({ code: 65, stderr: 'Tenant acme cannot use its KMS key.\n' });
  scene.services.kms.enable(scene.keyArn);
});

test('--json prints all steps in one line and keeps the exit code', async () => {
  const { code, stdout, stderr } = await check('alias/mine', '--json');
  expect({ code, stderr }).toEqual({ code: 65, stderr: '' });
  expect(jsonOf(stdout)).toEqual([
    {
      tenant: 'acme',
      arn: 'alias/mine',
      canAttach: false,
      steps: [
        expect.objectContaining({
          step: 'arn',
          status: 'fail',
          observed: expect.any(String),
          remedy: expect.any(String),
        }),
        { step: 'plan', status: 'ok', observed: 'The pro plan allows a KMS key.' },
      ],
    },
  ]);
});

test("keys check rejects another tenant's key, and with --shared warns", async () => {
  await scene.operator.putTenant('other', { plan: 'pro' });
  const args = ['keys', 'check', scene.keyArn, '--tenant', 'other'];
  expect((await scene.sealdex(args)).code).toBe(65);
  const { code, stdout } = await scene.sealdex([...args, '--shared']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^warn {2}other owners {4}Also used by: acme\./m);
});

test('keys check warns about a tenant that does not exist yet, and --plan states its plan', async () => {
  const arn = scene.services.kms.createKey();
  const planLine = async (...more: string[]): Promise<[number | null, string | undefined]> => {
    const { code, stdout } = await scene.sealdex(['keys', 'check', arn, '--tenant', 'newcomer', '--wide', ...more]);
    return [code, linesOf(stdout).find((line) => / plan /.test(line))];
  };
  expect(await planLine()).toEqual([
    0,
    `warn  plan            Tenant newcomer does not exist yet; its plan is checked on creation. To create it: sealdex tenants put newcomer --plan pro --when-key-shut park --key ${arn}`,
  ]);
  expect(await planLine('--plan', 'pro')).toEqual([0, expect.stringMatching(/^ok /)]);
  expect(await planLine('--plan', 'free')).toEqual([65, expect.stringMatching(/^FAIL /)]);
});

describe('an error unrelated to the key ends keys check with its own code, after the completed steps:', () => {
  test.each([
    ['throttled', KMS_ERRORS.throttled, 75, 'KMS_THROTTLED ThrottlingException'],
    ['an outage', KMS_ERRORS.internal, 69, 'KMS_FAILED KMSInternalException'],
    ['expired credentials', KMS_ERRORS.expiredCredentials, 69, 'PLATFORM_CREDENTIALS ExpiredTokenException'],
  ] as const)('%s', async (_, fault, exit, mark) => {
    const arn = scene.services.kms.createKey();
    scene.services.kms.faults.set({ match: { key: arn, operation: 'Encrypt' }, fault });
    const { code, stdout, stderr } = await check(arn);
    expect(code).toBe(exit);
    expect(stdout).not.toMatch(/FAIL/);
    expect(linesOf(stdout).at(-1)).toMatch(/^ok {4}GenerateDataKey/);
    expect(stderr).toMatch(/^sealdex: Could not check the KMS key because .* \(.*\)\. [A-Z].*\.\n$/);
    expect(stderr).toContain(`(${mark})`);
  });
});

describe('wrong usage exits with 64:', () => {
  test.each<[string[], RegExp]>([
    [['check', '--tenant', 'a'], /missing required argument 'arn'/],
    [['check', 'arn'], /required option '--tenant <name>' not specified/],
    [['check', 'arn', '--tenant', 'a', '--plan', 'gold'], /argument 'gold' is invalid/],
  ])('sealdex keys %j', async (args, sentence) => {
    const { code, stdout, stderr } = await scene.sealdex(['keys', ...args]);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(sentence);
  });

  test('unlike an invalid tenant name, which exits with 65', async () => {
    const { code, stderr } = await scene.sealdex(['keys', 'check', 'arn', '--tenant', 'a/b']);
    expect(code).toBe(65);
    expect(stderr).toMatch(/^sealdex: tenant must be 1 to 50/);
  });
});
