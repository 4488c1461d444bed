// `sealdex tenants`: making, changing, showing and listing them.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonOf, linesOf } from './run.ts';
import { openScene, type Scene } from './scene.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
});

afterAll(() => scene[Symbol.asyncDispose]());

const tenants = (...args: string[]) => scene.sealdex(['tenants', ...args]);

test('put makes a tenant, with a KMS key of its own or without, and changes its plan', async () => {
  const keyArn = scene.services.kms.createKey();
  expect(await tenants('put', 'own', '--plan', 'pro', '--key', keyArn)).toMatchObject({
    code: 0,
    stdout: `Made tenant own: plan pro, KMS key ${keyArn}.\n`,
    stderr: '',
  });
  expect((await tenants('put', 'own', '--plan', 'enterprise')).stdout).toBe(
    `Changed tenant own: plan enterprise, KMS key ${keyArn}.\n`,
  );
  expect((await tenants('put', 'none', '--plan', 'free')).stdout).toBe('Made tenant none: plan free, platform key.\n');
  const [file] = jsonOf((await tenants('put', 'own', '--plan', 'pro', '--key', keyArn, '--json')).stdout);
  expect(file).toMatchObject({ v: 1, tenant: 'own', plan: 'pro', kmsKeyArn: keyArn });
});

test.each<[string, string[], RegExp]>([
  ['a key that is no full ARN', ['put', 'new', '--plan', 'pro', '--key', 'alias/mine'], /full ARN of a KMS key/],
  [
    'plan free to a tenant with a key',
    ['put', 'acme', '--plan', 'free'],
    /acme has a KMS key of its own: it stays on plan pro or enterprise/,
  ],
])('put refuses %s: 65', async (_, args, why) => {
  const { code, stdout, stderr } = await tenants(...args);
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(linesOf(stderr)).toEqual([expect.stringMatching(why)]);
  expect(stderr).toMatch(/^sealdex: .* \(TENANT_KEY_INVALID\)\n$/);
});

test.each(['acme', 'globex'])("put refuses to change %s's key, and says why", async (tenant) => {
  const before = await scene.operator.tenant(tenant);
  const { code, stdout, stderr } = await tenants(
    'put',
    tenant,
    '--plan',
    'pro',
    '--key',
    scene.services.kms.createKey(),
  );
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(stderr).toMatch(
    /^sealdex: Tenant \w+ exists .* is a step of its own, which is not built yet\. \(TENANT_KEY_INVALID\)\n$/,
  );
  expect(await scene.operator.tenant(tenant)).toEqual(before);
});

test('show prints the file as it stands in S3', async () => {
  const { code, stdout, stderr } = await tenants('show', 'acme');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual(await scene.operator.tenant('acme'));
  expect(jsonOf((await tenants('show', 'acme', '--json')).stdout)).toEqual([JSON.parse(stdout)]);
});

test('show of a tenant that is not there: 65, with how to make it', async () => {
  const { code, stdout, stderr } = await tenants('show', 'nobody');
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(stderr).toMatch(/^sealdex: There is no tenant nobody: sealdex tenants put nobody .* \(TENANT_UNKNOWN\)\n$/);
});

test('list has a line for each, with plan and key', async () => {
  const lines = linesOf((await tenants('list')).stdout);
  expect(lines[0]).toMatch(/^TENANT +PLAN +KEY$/);
  expect(lines.find((line) => line.startsWith('acme'))).toMatch(new RegExp(`^acme +pro +${scene.keyArn}$`));
  expect(lines.find((line) => line.startsWith('globex'))).toMatch(/^globex +free +platform key$/);
  const names = jsonOf((await tenants('list', '--json')).stdout).map(({ tenant }) => tenant);
  expect(names).toHaveLength(lines.length - 1);
  expect(names).toContain('acme');
});

test('list without any says how to make one', async () => {
  scene.services.s3.createBucket('empty-bucket');
  const settings = { ...scene.settings, SEALDEX_BUCKET: 'empty-bucket' };
  expect(await scene.sealdex(['tenants', 'list'], { settings })).toMatchObject({
    code: 0,
    stdout: '',
    stderr: 'There are no tenants yet: sealdex tenants put T --plan P makes one.\n',
  });
});
