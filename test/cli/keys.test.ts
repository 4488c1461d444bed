// `sealdex keys` with real gates: lists, probes, releases, blocks and unblocks.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProducer, type Producer } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf } from './output.ts';
import { openScene, type Scene } from './fixture.ts';

const NOWHERE = 'arn:aws:kms:us-west-2:111122223333:key/00000000-0000-0000-0000-000000000000';
const TIME = String.raw`2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 600_000, SEALDEX_PROBE_MAX_MS: 3_600_000 });
  producer = await createProducer(scene.settings);
  await scene.startWorker();
});

afterAll(async () => {
  await producer[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

const keys = (...args: string[]) => scene.sealdex(['keys', ...args]);

async function enqueue(tenant: string): Promise<string> {
  const document = { type: 'core', id: 'a', document_parts: [{ text: 'Text.' }] };
  return (await producer.enqueueIndex({ tenant, corpus: 'docs', document })).jobId;
}

const becomes = (jobId: string, state: string): Promise<true> =>
  eventually(async () => (await producer.status(jobId)).state === state);

/** A tenant with its own KMS key, made unusable by `breakKey`, and one parked job. */
async function parkedTenant(tenant: string, breakKey: (key: string) => void): Promise<{ key: string; job: string }> {
  const key = scene.services.kms.createKey();
  await scene.operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: key });
  breakKey(key);
  const job = await enqueue(tenant);
  await becomes(job, 'parked');
  return { key, job };
}

const disable = (key: string): void => scene.services.kms.disable(key);

// First: nothing is shut yet.
test('keys list prints a notice beside the empty result if every gate is open', async () => {
  for (const json of [[], ['--json']])
    expect(await keys('list', ...json)).toEqual({
      code: 0,
      signal: null,
      stdout: '',
      stderr: 'All gates are open.\n',
    });
});

describe('keys', () => {
  test('list prints one line per gate, a scheduled key deletion first, and below it the date, the reason and the next commands', async () => {
    const disabled = await parkedTenant('off', disable);
    const doomed = await parkedTenant('doomed', (key) => scene.services.kms.scheduleDeletion(key, { days: 7 }));
    const { code, stdout, stderr } = await keys('list', '--wide');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = linesOf(stdout);
    expect(lines[0]).toMatch(/^KEY +TENANT +STATE +SINCE +JOBS +OLDEST +NEXT PROBE +ACTION BY$/);
    expect(lines[1]).toMatch(
      new RegExp(`^${doomed.key} +doomed +shut KEY_PENDING_DELETION +${TIME} +1 +\\d+(ms|s) +in \\d+(s|m) +tenant$`),
    );
    expect(lines.slice(2, 6)).toEqual([
      expect.stringMatching(new RegExp(`^    KMS DELETES THIS KEY ON ${TIME}; `)),
      '    Cancelling the deletion leaves the key disabled. Run both commands.',
      `    aws kms cancel-key-deletion --key-id ${doomed.key} --region us-west-2`,
      `    aws kms enable-key --key-id ${doomed.key} --region us-west-2`,
    ]);
    expect(lines[6]).toMatch(new RegExp(`^${disabled.key} +off +shut KEY_DISABLED +`));
    expect(lines.slice(7)).toEqual([
      '    Jobs resume automatically after the key is enabled.',
      `    aws kms enable-key --key-id ${disabled.key} --region us-west-2`,
    ]);
    const asJson = jsonOf((await keys('list', '--json')).stdout);
    expect(asJson.map(({ tenant }) => tenant)).toEqual(['doomed', 'off']);
    expect(asJson[0]).toMatchObject({ keyArn: doomed.key, jobs: 1, deletesAt: expect.any(Number) as number });
    expect(jsonOf((await keys('list', '--tenant', 'off', '--json')).stdout)).toMatchObject([{ tenant: 'off' }]);
  });

  test('show prints every field of a gate', async () => {
    const { key } = await parkedTenant('shown', disable);
    const { code, stdout, stderr } = await keys('show', key);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const [name, value] of [
      ['key', key],
      ['tenant', 'shown'],
      ['state', 'shut'],
      ['code', "KEY_DISABLED: the tenant's KMS key is disabled"],
      ['since', `${TIME} \\(\\d+(ms|s) ago\\)`],
      ['jobs', '1'],
      ['probes', '0'],
      ['next probe', `${TIME} \\(in \\d+(s|m)\\)`],
      ['reason', 'DisabledException'],
      ['request', '[\\w-]+'],
      ['action by', 'tenant: .*'],
    ])
      expect(stdout).toMatch(new RegExp(`^${name} +${value}$`, 'm'));
    expect(linesOf(stdout).at(-1)).toBe(`    aws kms enable-key --key-id ${key} --region us-west-2`);
    expect(jsonOf((await keys('show', '--json', '--tenant', 'shown', key)).stdout)).toMatchObject([{ keyArn: key }]);
  });

  test('show prints the tenants of a key with an open gate', async () => {
    expect(await keys('show', scene.keyArn)).toMatchObject({ code: 0, stdout: 'Tenant acme: the gate is open.\n' });
    expect(jsonOf((await keys('show', '--json', scene.keyArn)).stdout)).toEqual([
      { tenant: 'acme', keyArn: scene.keyArn, state: 'open' },
    ]);
  });
});

describe('a missing gate or key is reported in one sentence, with exit code 66:', () => {
  test.each([
    [['show', NOWHERE], `The KMS key ${NOWHERE} does not belong to a tenant.`],
    [['show', NOWHERE, '--tenant', 'acme'], `The KMS key ${NOWHERE} does not belong to tenant acme.`],
    [['probe', NOWHERE], `No shut gate for KMS key ${NOWHERE}.`],
    [['release', NOWHERE, '--tenant', 'acme'], `No shut gate for KMS key ${NOWHERE} and tenant acme.`],
    [['block', NOWHERE, '--reason', 'x'], `The KMS key ${NOWHERE} does not belong to a tenant.`],
    [['unblock', NOWHERE], `The KMS key ${NOWHERE} does not belong to a tenant.`],
    [
      ['block', NOWHERE, '--reason', 'x', '--tenant', 'acme'],
      `sealdex: The KMS key ${NOWHERE} does not belong to tenant acme (NOT_FOUND).`,
    ],
  ])('sealdex keys %j', async (args, sentence) => {
    expect(await keys(...args)).toMatchObject({ code: 66, stdout: '', stderr: `${sentence}\n` });
  });
});

describe.concurrent('wrong usage exits with 64:', () => {
  test.each<[string[], RegExp]>([
    [['show', 'alias/mine'], /^sealdex: Give the full ARN of the KMS key/],
    [['probe', '1234abcd-12ab-34cd-56ef-1234567890ab'], /^sealdex: Give the full ARN of the KMS key/],
    [['block', NOWHERE], /^sealdex: required option '--reason <text>' not specified/],
    [['block', NOWHERE, '--reason', ' '], /^sealdex: --reason must be 1 to 300 characters\./],
    [['release'], /^sealdex: missing required argument 'arn'/],
  ])('sealdex keys %j', async (args, sentence) => {
    const { code, stdout, stderr } = await keys(...args);
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(sentence);
  });
});

describe('keys probe', () => {
  test("prints the error of KMS and the time of the next probe, and exits with the code's exit code", async () => {
    const { key } = await parkedTenant('refused', disable);
    const { code, stdout, stderr } = await keys('probe', key);
    expect({ code, stderr }).toEqual({ code: 75, stderr: '' });
    expect(stdout).toMatch(
      /^Tenant refused: the tenant's KMS key is disabled \(KEY_DISABLED DisabledException\)\. Next probe in \d+(s|m)\.\n$/,
    );
    expect(jsonOf((await keys('probe', key, '--json')).stdout)).toMatchObject([
      { tenant: 'refused', keyArn: key, said: 'KEY_DISABLED', isBusy: false, gate: { state: 'shut', probes: 2 } },
    ]);
  });

  test('prints that KMS accepts the key, and the jobs finish after the next success', async () => {
    const { key, job } = await parkedTenant('accepted', disable);
    scene.services.kms.enable(key);
    const { code, stdout, stderr } = await keys('probe', key, '--tenant', 'accepted');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^Tenant accepted: KMS accepts the key\. One more successful probe opens the gate\. Next probe (in \d+(ms|s)|now)\.\n$/,
    );
    await becomes(job, 'done');
  });

  test('calls no KMS for a key blocked by an operator, and names the command that unblocks it', async () => {
    const { key } = await parkedTenant('kept', disable);
    await keys('block', key, '--reason', 'incident');
    expect(await keys('probe', key)).toMatchObject({
      code: 75,
      stdout: `Tenant kept: not probed because an operator blocked the KMS key (KEY_BLOCKED). Next: sealdex keys unblock ${key} --tenant kept\n`,
    });
  });
});

test('keys release starts a canary, and a working key reopens the gate', async () => {
  const { key, job } = await parkedTenant('released', disable);
  scene.services.kms.enable(key);
  expect(await keys('release', key)).toMatchObject({
    code: 0,
    stdout: 'Releasing the parked jobs of tenant released.\n',
    stderr: '',
  });
  await becomes(job, 'done');
});

test('keys release does not open the gate of a key blocked by an operator, and names the next command', async () => {
  const { key } = await parkedTenant('unreleased', disable);
  await scene.operator.block('unreleased', key, 'incident');
  const { code, stdout } = await keys('release', key);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: `Tenant unreleased: the gate stays shut because an operator blocked the KMS key (KEY_BLOCKED). Next: sealdex keys unblock ${key} --tenant unreleased\n`,
  });
});

test('keys block and unblock apply to all tenants of the key, or to one', async () => {
  const key = scene.services.kms.createKey();
  for (const tenant of ['pair-a', 'pair-b']) await scene.operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: key });
  const blocked = await keys('block', key, '--reason', 'incident 4711');
  expect(blocked).toMatchObject({ code: 0, stderr: '' });
  expect(linesOf(blocked.stdout)).toEqual(
    ['pair-a', 'pair-b'].map(
      (tenant) =>
        `Blocked for tenant ${tenant}; its jobs are parked. To unblock: sealdex keys unblock ${key} --tenant ${tenant}`,
    ),
  );
  const job = await enqueue('pair-a');
  await becomes(job, 'parked');
  expect((await keys('list', '--tenant', 'pair-a')).stdout).toContain('\n    Reason: incident 4711\n');
  expect((await keys('unblock', key, '--tenant', 'pair-a')).stdout).toBe(
    'Unblocked for tenant pair-a. Releasing the parked jobs of tenant pair-a.\n',
  );
  await becomes(job, 'done');
  expect(linesOf((await keys('unblock', key)).stdout)).toEqual([
    'Tenant pair-a: the key is not blocked.',
    'Unblocked for tenant pair-b. Releasing the parked jobs of tenant pair-b.',
  ]);
  expect(jsonOf((await keys('unblock', key, '--json')).stdout)).toEqual([
    { tenant: 'pair-a', keyArn: key, changed: false },
    expect.objectContaining({ tenant: 'pair-b', keyArn: key, changed: false }),
  ]);
});

test("keys block names a tenant with a contradictory file only for that tenant's key, and blocks the others", async () => {
  const [key, odd] = [scene.services.kms.createKey(), scene.services.kms.createKey()];
  await scene.operator.putTenant('even', { plan: 'pro', kmsKeyArn: key });
  await scene.operator.putTenant('odd', { plan: 'free' });
  const address = `${scene.services.s3.endpoint}/${String(scene.settings.SEALDEX_BUCKET)}/tenants/odd.json`;
  const body = JSON.stringify({ ...(await scene.operator.tenant('odd')), kmsKeyArn: odd });
  expect((await fetch(address, { method: 'PUT', body })).ok).toBe(true);
  const blocked = await keys('block', key, '--reason', 'incident');
  expect(blocked).toMatchObject({ code: 0, stderr: '' });
  expect(blocked.stdout).toMatch(/^Blocked for tenant even; [^\n]*\n$/);
  const { code, stderr } = await keys('block', odd, '--reason', 'incident');
  expect(code).toBe(65);
  expect(stderr).toMatch(/^Tenant odd: The free plan does not include a KMS key \(TENANT_KEY_INVALID\)\. .*\n$/);
});

// Last: it leaves an unreadable file.
test("keys block names a tenant with an unreadable file, blocks the others, and exits with the code's exit code", async () => {
  const key = scene.services.kms.createKey();
  await scene.operator.putTenant('readable', { plan: 'pro', kmsKeyArn: key });
  const address = `${scene.services.s3.endpoint}/${String(scene.settings.SEALDEX_BUCKET)}/tenants/broken.json`;
  expect((await fetch(address, { method: 'PUT', body: '{' })).ok).toBe(true);
  const { code, stdout, stderr } = await keys('block', key, '--reason', 'incident');
  expect(code).toBe(69);
  expect(stdout).toMatch(/^Blocked for tenant readable; [^\n]*\n$/);
  expect(stderr).toMatch(
    /^Tenant broken: tenants\/broken\.json is not a valid tenant file \(PLATFORM_TENANTS Malformed\)\. .*\n$/,
  );
});
