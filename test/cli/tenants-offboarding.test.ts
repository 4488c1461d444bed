// `sealdex tenants export` and `delete`: confirmations, rejected calls and output.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/runtime/config.ts';
import { S3_ERRORS } from '@sealdex/local-aws';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf } from './output.ts';
import { startInProcess } from './in-process.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { coreOf, openScene, type Scene } from './fixture.ts';

const opened = new AsyncDisposableStack();
let scene: Scene;
let folder: string;

beforeAll(async () => {
  scene = opened.use(await openScene());
  folder = opened.use(temporaryFolder()).path;
  await scene.startWorker();
  for (const tenant of ['acme', 'globex'])
    await scene.sealdex(['index', '--tenant', tenant, '--corpus', 'docs', '--wait', '-'], {
      input: `${coreOf('a')}\n${coreOf('b')}\n`,
    });
});
afterAll(() => opened.disposeAsync());

test('tenants export prints what was written and how to decrypt it', async () => {
  const dir = join(folder, 'export');
  const { code, stdout } = await scene.sealdex(['tenants', 'export', 'acme', dir]);
  expect(code).toBe(0);
  expect(linesOf(stdout)).toEqual([
    expect.stringMatching(
      /^Exported tenant acme to .*: 2 documents, 0 original files, 0 deletions, .* \(2 fetched, 0 unchanged\)\.$/,
    ),
    `KMS key: ${scene.keyArn}. README.txt explains how to decrypt the files.`,
  ]);
  expect(linesOf(readFileSync(join(dir, 'manifest.ndjson'), 'utf8'))).toHaveLength(2);
  const again = await scene.sealdex(['tenants', 'export', 'acme', dir, '--json']);
  expect(jsonOf(again.stdout)).toMatchObject([{ tenant: 'acme', documents: 2, fetched: 0, kept: 2 }]);
});

test('tenants export rejects a folder with other files, or one that it cannot create', async () => {
  const dir = join(folder, 'foreign');
  mkdirSync(dir);
  writeFileSync(join(dir, 'mine.txt'), 'Mine.');
  const foreign = await scene.sealdex(['tenants', 'export', 'acme', dir]);
  expect(foreign).toMatchObject({ code: 64, stdout: '', stderr: expect.stringContaining('is not empty') });
  const file = await scene.sealdex(['tenants', 'export', 'acme', join(dir, 'mine.txt')]);
  expect(file).toMatchObject({ code: 69, stderr: expect.stringMatching(/\(E[A-Z]+\)/) });
  expect(await scene.sealdex(['tenants', 'export', 'nobody', join(folder, 'x')])).toMatchObject({ code: 65 });
});

test('tenants delete requires the name of the tenant as confirmation', async () => {
  const refused = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await scene.sealdex(['tenants', 'delete', ...args]);
    expect(code).toBe(64);
    return stderr;
  };
  expect(await refused('acme')).toContain('Use --yes acme.');
  expect(await refused('acme', '--json')).toContain('Use --yes acme.');
  expect(await refused('acme', '--yes', 'globex')).toContain('--yes must repeat the tenant name: --yes acme');
  expect(await scene.sealdex(['tenants', 'delete', 'nobody', '--yes', 'nobody'])).toMatchObject({ code: 65 });
  expect((await scene.operator.tenant('acme')).deleted).toBeUndefined();
});

test('a count of one uses the singular', async () => {
  await scene.operator.putTenant('single', { plan: 'free' });
  const index = ['index', '--tenant', 'single', '--corpus', 'docs', '--wait', '-'];
  await scene.sealdex(index, { input: coreOf('a') });
  const dir = join(folder, 'single');
  const exported = await scene.sealdex(['tenants', 'export', 'single', dir]);
  expect(exported.stdout).toContain(': 1 document, 0 original files, 0 deletions, ');
  expect(exported.stdout).toMatch(/^KMS key: arn:/m);
  expect(readFileSync(join(dir, 'README.txt'), 'utf8')).toContain(
    ': 1 document, 0 original files, and 0 deletions (in',
  );
  const { stdout } = await scene.sealdex(['tenants', 'delete', 'single', '--dry-run']);
  expect(stdout).toContain('has 1 document or deletion');
});

test('tenants export prints the number of jobs and objects that it does not include', async () => {
  await scene.operator.putTenant('slow', { plan: 'free' });
  await scene.operator.pauseTenant('slow', 'a test');
  await scene.sealdex(['index', '--tenant', 'slow', '--corpus', 'docs', '-'], { input: coreOf('a') });
  const { code, stdout } = await scene.sealdex(['tenants', 'export', 'slow', join(folder, 'slow')]);
  expect({ code, lastLine: linesOf(stdout).at(-1) }).toEqual({
    code: 0,
    lastLine:
      'Not exported (still in the queue): 1 job, 0 dead letters, 0 objects in intake. Run the command again when the jobs are done.',
  });
  const asJson = await scene.sealdex(['tenants', 'export', 'slow', join(folder, 'slow'), '--json']);
  expect(jsonOf(asJson.stdout)).toMatchObject([{ waiting: { jobs: 1, letters: 0, intake: 0 } }]);
});

test('tenants delete --dry-run counts the objects', async () => {
  const { code, stdout } = await scene.sealdex(['tenants', 'delete', 'acme', '--dry-run']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Tenant acme has 2 documents and deletions(, \d+ other items?)?\.\n$/);
  const { stdout: text } = await scene.sealdex(['tenants', 'delete', 'acme', '--dry-run', '--json']);
  expect(jsonOf(text)).toMatchObject([{ tenant: 'acme', leftByKind: { documents: 2 } }]);
});

test('tenants delete removes data at once, can be interrupted during its wait, and reports no remaining data when run again later', async () => {
  await using running = startInProcess(['tenants', 'delete', 'acme', '--yes', 'acme'], { settings: scene.settings });
  await eventually(() => Promise.resolve(running.stderr().includes('Waiting until') || undefined));
  expect(running.stderr()).toContain('(17m)');
  running.kill('SIGINT');
  expect(await running.ended).toMatchObject({ code: 130, stdout: '' });
  expect((await scene.operator.countTenant('acme')).leftByKind.documents).toBe(0);
  await passTime();
  const { code, stdout, stderr } = await scene.sealdex(['tenants', 'delete', 'acme', '--yes', 'acme']);
  expect(code).toBe(0);
  expect(linesOf(stdout).at(-1)).toBe('No data remains.');
  expect(stderr).toContain('Pass finished: 0 found.');
  const { stdout: text } = await scene.sealdex(['tenants', 'delete', 'acme', '--yes', 'acme', '--json']);
  expect(jsonOf(text)).toMatchObject([{ tenant: 'acme', left: 0 }]);
  expect(await scene.sealdex(['read', '--tenant', 'globex', '--corpus', 'docs', 'a'])).toMatchObject({ code: 0 });
});

test('tenants delete exits with 69 and reports what may remain if listing is denied', async () => {
  const { faults } = scene.services.s3;
  const args = ['tenants', 'delete', 'acme', '--yes', 'acme'];
  const fault = faults.set({ match: { kind: 'versions' }, fault: S3_ERRORS.accessDenied });
  const { code, stdout, stderr } = await scene.sealdex(args);
  expect({ code, answer: linesOf(stdout).at(-1) }).toEqual({
    code: 69,
    answer: 'No visible data remains. Some older versions may remain.',
  });
  expect(stderr).toContain('Allow s3:ListBucketVersions and s3:DeleteObjectVersion and run the command again.');
  const asJson = await scene.sealdex([...args, '--json']);
  expect(asJson.code).toBe(69);
  expect(jsonOf(asJson.stdout)).toMatchObject([{ left: 0, mayRemain: ['versions'] }]);
  fault.clear();
  expect(await scene.sealdex(args)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^No data remains\.$/m) });
});

test('a deleted tenant is listed only with --deleted, and its name cannot be reused', async () => {
  const list = async (...args: string[]): Promise<string> => (await scene.sealdex(['tenants', 'list', ...args])).stdout;
  expect(await list()).not.toContain('acme');
  expect(await list('--deleted', '--wide')).toMatch(/^acme +pro +arn:aws:kms:\S+ +deleted since 20/m);
  const put = await scene.sealdex(['tenants', 'put', 'acme', '--plan', 'pro']);
  expect(put).toMatchObject({ code: 65, stderr: expect.stringContaining('its name cannot be reused') });
  const index = await scene.sealdex(['index', '--tenant', 'acme', '--corpus', 'docs', '-'], { input: coreOf('c') });
  expect(index.stderr).toContain('TENANT_UNKNOWN');
});

/** As if the deletion had started an hour ago. */
async function passTime(): Promise<void> {
  using store = Object.assign(createStore(loadConfig(scene.settings, {}), 'patient'), {
    [Symbol.dispose](): void {
      store.close();
    },
  });
  const file = await scene.operator.tenant('acme');
  const body = JSON.stringify({ ...file, deleted: { ...file.deleted, at: file.deleted!.at - 3_600_000 } });
  await store.put('tenants/acme.json', Buffer.from(body), {});
}
