// `sealdex tenants`: creating, changing, showing and listing tenants.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonOf, linesOf, unwrapped } from './output.ts';
import { openScene, type Scene } from './fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
});

afterAll(() => scene[Symbol.asyncDispose]());

const tenants = (...args: string[]) => scene.sealdex(['tenants', ...args]);

test('put creates a tenant, with or without a KMS key, and changes its plan', async () => {
  const keyArn = scene.services.kms.createKey();
  expect(await tenants('put', 'own', '--plan', 'pro', '--key', keyArn)).toMatchObject({
    code: 0,
    stdout: `Created tenant own: plan pro, KMS key ${keyArn}.\n`,
    stderr: expect.stringMatching(/^warn {2}other tenant: The key policy does not restrict the key/) as string,
  });
  expect((await tenants('put', 'own', '--plan', 'enterprise')).stdout).toBe(
    `Changed tenant own: plan enterprise, KMS key ${keyArn}.\n`,
  );
  expect((await tenants('put', 'own', '--plan', 'enterprise')).stdout).toBe(
    `Nothing to change for tenant own: plan enterprise, KMS key ${keyArn}.\n`,
  );
  expect((await tenants('put', 'none', '--plan', 'free')).stdout).toBe(
    'Created tenant none: plan free, platform key.\n',
  );
  const [file] = jsonOf((await tenants('put', 'own', '--plan', 'pro', '--key', keyArn, '--json')).stdout);
  expect(file).toMatchObject({ v: 1, tenant: 'own', plan: 'pro', kmsKeyArn: keyArn });
});

test.each<[string, string[], RegExp]>([
  [
    'plan free to a tenant with a key',
    ['put', 'acme', '--plan', 'free'],
    /Remove the key of tenant acme first: sealdex tenants set-key acme --to-platform-key/,
  ],
])('put rejects %s with exit code 65', async (_, args, why) => {
  const { code, stdout, stderr } = await tenants(...args);
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(linesOf(stderr)).toEqual([expect.stringMatching(why)]);
  expect(stderr).toMatch(/^sealdex: .* \(TENANT_KEY_INVALID\)\. .*\n$/);
});

test.each<[string, (arn: string) => string[], RegExp]>([
  ['an alias', () => ['--key', 'alias/mine'], /This is an alias, .* Give the full ARN/],
  ['a disabled key', (arn) => (scene.services.kms.disable(arn), ['--key', arn]), /The key is Disabled/],
])('put creates no tenant with %s, prints the failed check, and exits with 65', async (_, chosen, why) => {
  const { code, stdout, stderr } = await tenants(
    'put',
    'new',
    '--plan',
    'pro',
    ...chosen(scene.services.kms.createKey()),
  );
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(linesOf(stderr)).toEqual([
    'sealdex: The KMS key cannot be attached (TENANT_KEY_INVALID):',
    expect.stringMatching(why),
  ]);
  await expect(scene.operator.tenant('new')).rejects.toMatchObject({ code: 'TENANT_UNKNOWN' });
});

test("put creates no tenant with another tenant's key, except with --shared", async () => {
  const arn = scene.services.kms.createKey();
  const put = (tenant: string, ...more: string[]) => tenants('put', tenant, '--plan', 'pro', '--key', arn, ...more);
  expect((await put('first')).code).toBe(0);
  const { code, stderr } = await put('second');
  expect(code).toBe(65);
  expect(stderr).toContain('Also used by: first.');
  expect((await put('second', '--shared')).code).toBe(0);
});

test.each(['acme', 'globex'])("put rejects a change of %s's key, with the reason", async (tenant) => {
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
    /^sealdex: Tenant \w+ already exists with .*\. To change it: sealdex tenants set-key \w+ arn:\S+$/m,
  );
  expect(await scene.operator.tenant(tenant)).toEqual(before);
});

test('put exits with 64 if --shared is given without a key, which would create a tenant on the platform key', async () => {
  const { code, stderr } = await tenants('put', 'new', '--plan', 'pro', '--shared');
  expect({ code, stderr }).toEqual({
    code: 64,
    stderr: expect.stringMatching(/^sealdex: --shared requires --key\./) as string,
  });
  await expect(scene.operator.tenant('new')).rejects.toMatchObject({ code: 'TENANT_UNKNOWN' });
});

test('show prints key, plan, gate and what waits', async () => {
  const { code, stdout, stderr } = await tenants('show', 'acme');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(linesOf(stdout)).toEqual([
    'tenant        acme',
    'plan          pro',
    `key           ${scene.keyArn}`,
    'gate          open',
    'if shut       new content waits, encrypted under the platform key',
    'parked jobs   0',
    'dead letters  0',
    '',
    'No action needed.',
  ]);
});

test('show --json prints the tenant file in S3, the gates and what waits', async () => {
  const { code, stdout, stderr } = await tenants('show', 'acme', '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const file = await scene.operator.tenant('acme');
  const waiting = { gates: [], parked: { jobs: 0 }, deadLetters: 0, platformKeyContent: { jobs: 0, bytes: 0 } };
  expect(jsonOf(stdout)).toEqual([{ ...file, ...waiting }]);
});

test('show exits with 65 for an unknown tenant, and prints how to create it', async () => {
  const { code, stdout, stderr } = await tenants('show', 'nobody');
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(stderr).toMatch(
    /^sealdex: Tenant nobody does not exist \(TENANT_UNKNOWN\)\. Create it: sealdex tenants put nobody .*\n$/,
  );
});

test('list prints one line per tenant, with plan and key', async () => {
  const lines = linesOf((await tenants('list', '--wide')).stdout);
  expect(lines[0]).toMatch(/^TENANT +PLAN +KEY +STOPPED BY OPERATOR$/);
  expect(lines.find((line) => line.startsWith('acme'))).toMatch(new RegExp(`^acme +pro +${scene.keyArn}$`));
  expect(lines.find((line) => line.startsWith('globex'))).toMatch(/^globex +free +platform key$/);
  const names = jsonOf((await tenants('list', '--json')).stdout).map(({ tenant }) => tenant);
  expect(names).toHaveLength(lines.length - 1);
  expect(names).toContain('acme');
});

test('list names a malformed file, prints the others, and exits with 69', async () => {
  await using own = await openScene();
  const address = `${own.services.s3.endpoint}/${String(own.settings.SEALDEX_BUCKET)}/tenants/broken.json`;
  await fetch(address, { method: 'PUT', body: '{"v":1' });
  const { code, stdout, stderr } = await own.sealdex(['tenants', 'list', '--json']);
  expect(jsonOf(stdout).map(({ tenant }) => tenant)).toEqual(['acme', 'globex']);
  expect({ code, stderr }).toEqual({
    code: 69,
    stderr: 'tenants/broken.json is not a valid tenant file (PLATFORM_TENANTS Malformed). Repair it in the bucket.\n',
  });
});

test('put changes the setting for an unusable key and keeps the plan; a new tenant needs a plan', async () => {
  const changed = await tenants('put', 'acme', '--when-key-shut', 'refuse');
  expect(changed).toMatchObject({ code: 0, stderr: '' });
  expect(changed.stdout).toBe(
    `Changed tenant acme: plan pro, KMS key ${scene.keyArn}, rejects content while its key is unusable.\n`,
  );
  expect(await scene.operator.tenant('acme')).toMatchObject({ plan: 'pro', whenKeyShut: 'refuse' });
  await tenants('put', 'acme', '--when-key-shut', 'park');
  expect(await scene.operator.tenant('acme')).toMatchObject({ plan: 'pro', whenKeyShut: 'park' });
  const { code, stdout, stderr } = await tenants('put', 'unheard-of', '--when-key-shut', 'park');
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(stderr).toMatch(
    /^sealdex: Tenant unheard-of does not exist \(TENANT_UNKNOWN\)\. Create it: sealdex tenants put unheard-of --plan pro/,
  );
});

test('pause parks jobs until resume; list and show print since when and why', async () => {
  await tenants('put', 'stopped', '--plan', 'free');
  expect(await tenants('pause', 'stopped', '--reason', 'incident\n4711')).toMatchObject({
    code: 0,
    stdout: 'Paused tenant stopped; its jobs are parked. To resume: sealdex tenants resume stopped\n',
    stderr: '',
  });
  const listed = linesOf((await tenants('list', '--wide')).stdout).find((line) => line.startsWith('stopped'));
  expect(listed).toMatch(/^stopped +free +platform key +paused since 2\d{3}-\S+Z: incident 4711$/);
  const asJson = await tenants('show', 'stopped', '--json');
  expect(jsonOf(asJson.stdout)).toMatchObject([{ paused: { reason: 'incident\n4711' } }]);
  expect(asJson.stderr).toMatch(/^Tenant stopped: paused since 2\d{3}-\S+Z: incident 4711\.\n$/);
  const shown = await tenants('show', 'stopped');
  expect(shown.stderr).toBe('');
  expect(shown.stdout).toMatch(/^paused +2\d{3}-\S+Z \(\d+(ms|s) ago\)$/m);
  expect(unwrapped(shown.stdout)).toMatch(/^gate +shut since 2\d{3}-\S+Z \(\d+(ms|s) ago\): .* \(TENANT_PAUSED\)$/m);
  expect(linesOf(shown.stdout).slice(-4)).toEqual([
    'Action by: operator',
    '    Reason: incident 4711',
    '    Stopped by an operator. Probes do not open this gate.',
    '    sealdex tenants resume stopped',
  ]);
  const gates = jsonOf((await scene.sealdex(['keys', 'list', '--tenant', 'stopped', '--json'])).stdout);
  expect(gates).toMatchObject([{ state: 'shut', code: 'TENANT_PAUSED', whoActs: 'operator' }]);

  expect((await tenants('resume', 'stopped')).stdout).toBe(
    'Resumed tenant stopped. Releasing the parked jobs of tenant stopped.\n',
  );
  expect(await scene.operator.tenant('stopped')).not.toHaveProperty('paused');
  expect((await tenants('resume', 'stopped')).stdout).toBe('Tenant stopped is not paused.\n');
});

test('resume reports that the tenant stays stopped if its key is blocked too, and list shows both', async () => {
  const key = scene.services.kms.createKey();
  await tenants('put', 'twice', '--plan', 'pro', '--key', key);
  await scene.sealdex(['keys', 'block', key, '--reason', 'leak']);
  await tenants('pause', 'twice', '--reason', 'incident', '--json');
  const listed = linesOf((await tenants('list', '--wide')).stdout).find((line) => line.startsWith('twice'));
  expect(listed).toMatch(/paused since \S+: incident; key arn:\S+ blocked since \S+: leak$/);
  expect((await tenants('resume', 'twice')).stdout).toBe(
    `Resumed tenant twice. Tenant twice: the gate stays shut because an operator blocked the KMS key (KEY_BLOCKED). Next: sealdex keys unblock ${key} --tenant twice\n`,
  );
});

test.each([[['pause', 'nobody', '--reason', 'x']], [['resume', 'nobody']]])(
  '%j exits with 65 for an unknown tenant',
  async (args) => {
    const { code, stderr } = await tenants(...args);
    expect(code).toBe(65);
    expect(stderr).toMatch(/^sealdex: Tenant nobody does not exist \(TENANT_UNKNOWN\)\. .*\n$/);
  },
);

test('list prints how to create a tenant if there is none', async () => {
  scene.services.s3.createBucket('empty-bucket');
  const settings = { ...scene.settings, SEALDEX_BUCKET: 'empty-bucket' };
  expect(await scene.sealdex(['tenants', 'list'], { settings })).toMatchObject({
    code: 0,
    stdout: '',
    stderr: 'No tenants yet. Create one: sealdex tenants put T --plan P\n',
  });
});
