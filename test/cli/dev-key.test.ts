// `sealdex dev key`: its effect on a tenant's key and jobs, and rejected calls.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startKms } from '@sealdex/local-aws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createProducer } from '../../src/app/app.ts';
import { exportLines } from '../../src/cli/dev/env-file.ts';
import { isLoopback } from '../../src/cli/dev/local-kms.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { eventually } from '../support/eventually.ts';
import { coreOf, openScene, type Scene } from './fixture.ts';
import { runInProcess } from './in-process.ts';
import type { Ended } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';

const NOT_RUNNING = 'sealdex: No sealdex dev is running in this directory. Start it in another terminal: sealdex dev\n';

const folder = temporaryFolder();
const envFile = join(folder.path, '.sealdex/env');
let scene: Scene;

beforeAll(async () => {
  mkdirSync(join(folder.path, '.sealdex'));
  writeFileSync(join(folder.path, 'one.json'), coreOf('one'));
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 100, SEALDEX_PROBE_MAX_MS: 300 });
  await scene.startWorker();
});

afterEach(() => rmSync(envFile, { force: true }));

afterAll(async () => {
  folder[Symbol.dispose]();
  await scene[Symbol.asyncDispose]();
});

/** The state that a running sealdex dev leaves. */
const writeEnv = (settings: Settings): void => writeFileSync(envFile, `${exportLines(settings).join('\n')}\n`);

/** Without settings in the environment: those of the file apply. */
const devKey = (verb: string, tenant = 'acme'): Promise<Ended> =>
  runInProcess(['dev', 'key', verb, tenant], { cwd: folder.path });

const index = (): Promise<Ended> =>
  scene.sealdex(['index', '--tenant', 'acme', '--corpus', 'docs', '--wait', 'one.json'], { cwd: folder.path });

describe('dev key', () => {
  test.each([
    ['disable', 'is disabled', 'Disabled', 'KEY_DISABLED'],
    ['schedule-deletion', 'is pending deletion', 'PendingDeletion', 'KEY_PENDING_DELETION'],
    ['deny', 'denies sealdex its use', 'Enabled', 'KEY_DENIED'],
  ] as const)('%s parks the jobs of the tenant, and they finish after enable', async (verb, outcome, state, code) => {
    writeEnv(scene.settings);
    expect(await devKey(verb)).toMatchObject({
      code: 0,
      stdout: `KMS key ${scene.keyArn} of tenant acme ${outcome}.\n`,
      stderr: 'To undo: sealdex dev key enable acme\n',
    });
    expect(scene.services.kms.state(scene.keyArn)).toBe(state);
    let parked = await index();
    // A worker that has a data key may store one more document before it reads that the gate is shut.
    await eventually(async () => parked.code === 75 || (parked = await index()).code === 75);
    expect(parked.stderr).toContain(`(${code}). The job resumes automatically.`);

    // A second time changes nothing.
    expect((await devKey(verb)).code).toBe(0);
    expect(await devKey('enable')).toMatchObject({
      code: 0,
      stdout: `KMS key ${scene.keyArn} of tenant acme is enabled.\n`,
    });
    expect(scene.services.kms.state(scene.keyArn)).toBe('Enabled');
    const job = /j[0-9a-f]{32}/.exec(parked.stdout)?.[0] ?? '';
    await using producer = await createProducer(scene.settings);
    await eventually(async () => (await producer.status(job)).state === 'done');
    expect((await index()).code).toBe(0);
  });

  test('enable undoes all of disable, schedule-deletion and deny', async () => {
    writeEnv(scene.settings);
    for (const verb of ['deny', 'schedule-deletion', 'disable']) expect((await devKey(verb)).code).toBe(0);
    expect(scene.services.kms.state(scene.keyArn)).toBe('Disabled');
    expect((await devKey('enable')).code).toBe(0);
    await eventually(async () => (await scene.operator.gates({ tenant: 'acme' })).gates.length === 0);
    expect((await index()).code).toBe(0);
  });

  test('exits with 69 if no sealdex dev runs in the directory', async () => {
    expect(await devKey('disable')).toMatchObject({ code: 69, stdout: '', stderr: NOT_RUNNING });
    const kms = await startKms();
    const settings = { ...scene.settings, AWS_ENDPOINT_URL_KMS: kms.endpoint };
    writeEnv(settings);
    // The file of another directory.
    expect(await devKey('disable')).toMatchObject({ code: 69, stdout: '', stderr: NOT_RUNNING });
    await kms.stop();
    expect(await devKey('disable')).toMatchObject({ code: 69, stdout: '', stderr: NOT_RUNNING });
    expect(scene.services.kms.state(scene.keyArn)).toBe('Enabled');
  });

  test.each([
    ['AWS_ENDPOINT_URL_KMS', 'https://kms.us-west-2.amazonaws.com'],
    ['AWS_ENDPOINT_URL_KMS', undefined],
    ['AWS_ENDPOINT_URL_S3', undefined],
  ])('exits with 65 if %s of .sealdex/env is %s', async (name, value) => {
    writeEnv(scene.settings);
    const lines = readFileSync(envFile, 'utf8')
      .split('\n')
      .filter((line) => !line.includes(name));
    writeFileSync(envFile, [...lines, ...(value === undefined ? [] : exportLines({ [name]: value }))].join('\n'));
    expect(await devKey('disable')).toMatchObject({
      code: 65,
      stdout: '',
      stderr: 'sealdex: .sealdex/env does not name local services. Delete it, and start sealdex dev again.\n',
    });
  });

  test('rejects an unknown tenant, and one without its own KMS key', async () => {
    writeEnv(scene.settings);
    expect(await devKey('disable', 'globex')).toMatchObject({
      code: 64,
      stderr: 'sealdex: Tenant globex has no KMS key of its own. Name one that has: sealdex tenants list\n',
    });
    expect((await devKey('disable', 'nope')).stderr).toContain('(TENANT_UNKNOWN)');
  });
});

test.each([
  ['http://127.0.0.1:9472', true],
  ['http://[::1]:9472', true],
  ['http://localhost:9472/', true],
  ['https://kms.us-west-2.amazonaws.com', false],
  ['http://127.0.0.1.example.com', false],
  ['http://127.0.0.1@example.com', false],
  ['http://10.0.0.1:9472', false],
  ['', false],
])('isLoopback(%j) is %s', (endpoint, expected) => {
  expect(isLoopback(endpoint)).toBe(expected);
});
