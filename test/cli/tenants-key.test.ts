// `sealdex tenants set-key` and `reencrypt`: their output, rejected changes, and `tenants show` meanwhile.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createProducer, type Producer } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf } from './output.ts';
import { openScene, type Scene } from './fixture.ts';

const opened = new AsyncDisposableStack();
let scene: Scene;
let producer: Producer;
let tenant: string;
let arn: string;
let count = 0;

beforeAll(async () => {
  scene = opened.use(await openScene());
  producer = opened.use(await createProducer(scene.settings));
  await scene.startWorker();
});
afterAll(() => opened.disposeAsync());
beforeEach(async () => {
  tenant = `tenant-${(count += 1)}`;
  arn = scene.services.kms.createKey();
  await scene.operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: arn });
});

const tenants = (...args: string[]) => scene.sealdex(['tenants', ...args]);

async function store(...ids: string[]): Promise<void> {
  for (const id of ids) {
    const document = { type: 'structured', id, sections: [{ text: `Text of ${id}.` }] };
    const { jobId } = await producer.enqueueIndex({ tenant, corpus: 'docs', document });
    await eventually(async () => (await producer.status(jobId)).state === 'done');
  }
}

test('tenants set-key changes the key, re-encrypts the stored objects and prints the remaining steps', async () => {
  await store('one', 'two');
  expect(await tenants('reencrypt', tenant, '--dry-run')).toMatchObject({
    code: 0,
    stdout: `2 objects under ${arn}\n`,
  });
  const next = scene.services.kms.createKey();
  expect(await tenants('set-key', tenant, next)).toMatchObject({
    code: 0,
    stdout: `Tenant ${tenant} now uses ${next} for new data.\n`,
    stderr: expect.stringMatching(
      new RegExp(
        `^warn {2}other tenant: .*\nRe-encryption of stored objects has started. sealdex tenants show ${tenant} reports when the old key is no longer needed\\.\n$`,
      ),
    ) as string,
  });
  expect(await tenants('set-key', tenant, next)).toMatchObject({
    code: 0,
    stdout: `Tenant ${tenant} already uses ${next}.\n`,
  });
  expect((await tenants('reencrypt', tenant, '--wait')).code).toBe(0);
  expect(await tenants('reencrypt', tenant, '--dry-run')).toMatchObject({
    code: 0,
    stdout: `2 objects under ${next}\n`,
  });
  const { stdout, stderr } = await tenants('show', tenant, '--json');
  expect(JSON.parse(stdout)).toMatchObject({ kmsKeyArn: next, formerKeyArns: [arn] });
  expect(linesOf(stderr)).toEqual([
    expect.stringMatching(
      new RegExp(
        `^The KMS key of tenant ${tenant} was changed .*\\. Until re-encryption finishes, .* under the former key ${arn}\\. Disabling only the current key does not revoke access`,
      ),
    ),
    expect.stringMatching(/^First pass complete\. A final pass starts at /),
  ]);
  expect(jsonOf((await tenants('reencrypt', tenant, '--dry-run', '--json')).stdout)).toEqual([
    { tenant, keys: { [next]: 2 } },
  ]);
});

test('tenants set-key --to-platform-key needs --yes without a terminal', async () => {
  expect(await tenants('set-key', tenant, '--to-platform-key')).toMatchObject({
    code: 64,
    stderr: 'sealdex: Cannot ask for confirmation without a terminal. Use --yes.\n',
  });
  expect(await tenants('set-key', tenant, '--to-platform-key', '--yes', '--json')).toMatchObject({ code: 0 });
  const file = await scene.operator.tenant(tenant);
  expect(file.kmsKeyArn).toBeUndefined();
  expect(file.formerKeyArns).toEqual([arn]);
});

test('tenants set-key rejects invalid changes and leaves the file unchanged', async () => {
  const next = scene.services.kms.createKey();
  const before = await scene.operator.tenant(tenant);
  expect(await tenants('set-key', tenant)).toMatchObject({ code: 64 });
  expect(await tenants('set-key', tenant, next, '--to-platform-key')).toMatchObject({ code: 64 });
  expect(await tenants('set-key', tenant, 'alias/mine')).toMatchObject({ code: 64 });
  expect(await tenants('set-key', 'nobody', next)).toMatchObject({ code: 65 });
  expect(await tenants('set-key', 'globex', next)).toMatchObject({ code: 65 });
  expect(await tenants('reencrypt', tenant)).toMatchObject({
    code: 66,
    stderr: `sealdex: The KMS key of tenant ${tenant} never changed; there is nothing to re-encrypt (NOT_FOUND).\n`,
  });
  expect(await tenants('put', tenant, '--plan', 'free')).toMatchObject({ code: 65 });
  scene.services.kms.disable(next);
  const { code, stderr } = await tenants('set-key', tenant, next);
  expect(code).toBe(65);
  expect(stderr).toBe(
    'sealdex: The KMS key cannot be attached (TENANT_KEY_INVALID):\n  The key is Disabled. Ask the tenant to enable the key.\n',
  );
  expect(await scene.operator.tenant(tenant)).toEqual(before);
});

test('tenants reencrypt --wait prints why a re-encryption is stalled, and exits with 75', async () => {
  await store('one');
  const next = scene.services.kms.createKey();
  // The data key of the object is still cached: a disabled key would not be noticed.
  await scene.operator.block(tenant, arn, 'a test');
  expect((await tenants('set-key', tenant, next)).code).toBe(0);
  const stuck = `Re-encryption is stalled: the next job is parked (KEY_BLOCKED). See sealdex jobs show `;
  const { code, stdout } = await tenants('reencrypt', tenant, '--wait');
  expect([code, stdout]).toEqual([75, expect.anything()]);
  expect(linesOf(stdout)[1]).toMatch(new RegExp(`^${stuck.replace(/[()]/g, '.')}j[0-9a-f]{32}$`));
});
