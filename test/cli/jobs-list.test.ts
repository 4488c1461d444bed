// `sealdex jobs list` on parked and queued jobs: its lines, filters, limit, and that it calls no KMS.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { coreOf, JOB, openScene, type Scene } from './fixture.ts';
import { jsonOf, linesOf } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';

const folder = temporaryFolder();
let scene: Scene;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 600_000, SEALDEX_PROBE_MAX_MS: 3_600_000 });
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await scene[Symbol.asyncDispose]();
});

const list = (...args: string[]) => scene.sealdex(['jobs', 'list', ...args]);

async function index(tenant: string, ids: readonly string[], ...args: string[]): Promise<void> {
  writeFileSync(join(folder.path, 'docs.ndjson'), `${ids.map((id) => coreOf(id)).join('\n')}\n`);
  const command = ['index', '--tenant', tenant, '--corpus', 'docs', ...args, 'docs.ndjson'];
  await scene.sealdex(command, { cwd: folder.path });
}

// In this order: nothing is queued yet.
test('without any job, the list is empty and points to the dead letters', async () => {
  const hint = 'For dead letters: sealdex dead list\n';
  expect(await list()).toMatchObject({
    code: 0,
    stdout: '',
    stderr: `No jobs are active, retrying, parked or queued. ${hint}`,
  });
  expect(await list('--tenant', 'acme')).toMatchObject({ code: 0, stderr: `No jobs match the filter. ${hint}` });
});

test('parked and queued jobs have a line each, without document ids and without a call to KMS', async () => {
  const worker = await scene.startWorker();
  scene.services.kms.disable(scene.keyArn);
  await index('acme', ['secret-a', 'secret-b'], '--wait');
  await worker.stop();
  await index('globex', ['secret-c']);
  const calls = scene.services.kms.counts.count();
  const { code, stdout, stderr } = await list('--wide');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(scene.services.kms.counts.count()).toBe(calls);
  const [header, ...lines] = linesOf(stdout).map((line) => line.split(/ {2,}/));
  expect(header).toEqual(['JOB', 'TENANT', 'CORPUS', 'KIND', 'STATE', 'CODE', 'QUEUED']);
  const time = expect.stringMatching(/^2\d{3}-\S+Z$/) as string;
  const job = expect.stringMatching(JOB) as string;
  expect(lines).toEqual([
    [job, 'acme', 'docs', 'index', 'parked', 'KEY_DISABLED', time],
    [job, 'acme', 'docs', 'index', 'parked', 'KEY_DISABLED', time],
    [job, 'globex', 'docs', 'index', 'queued', '-', time],
  ]);
  expect(stdout).not.toContain('secret');
  expect(linesOf((await list()).stdout)[0]).toMatch(/^JOB +TENANT +STATE +CODE +AGE$/);
});

test('--json prints a line of JSON for each job', async () => {
  const jobs = jsonOf((await list('--json')).stdout);
  expect(jobs).toHaveLength(3);
  expect(jobs[0]).toEqual({
    jobId: expect.stringMatching(JOB) as string,
    queue: 'index',
    tenant: 'acme',
    corpus: 'docs',
    kind: 'index',
    state: 'parked',
    code: 'KEY_DISABLED',
    queuedAt: expect.any(Number) as number,
  });
});

test.each([
  [['--tenant', 'acme'], 2],
  [['--state', 'queued'], 1],
  [['--state', 'active'], 0],
  [['--code', 'key_disabled'], 2],
  [['--tenant', 'globex', '--state', 'parked'], 0],
  [['--older-than', '1h'], 0],
  [['--older-than', '2100-01-01'], 3],
])('sealdex jobs list %j lists %i of 3 jobs', async (args, count) => {
  expect(jsonOf((await list('--json', ...args)).stdout)).toHaveLength(count);
});

test('--limit bounds the list, and a notice reports further jobs', async () => {
  const more = 'There are more jobs. Use --limit N to list them; sealdex status shows the totals.\n';
  const { stdout, stderr } = await list('--limit', '2');
  expect(linesOf(stdout)).toHaveLength(3);
  expect(stderr).toBe(more);
  expect((await list('--limit', '3')).stderr).toBe('');
});

test.each([
  ['dead', 'For dead letters: sealdex dead list.'],
  ['waiting', 'Expected active, retrying, parked, queued.'],
])('exits with 64 for --state %s', async (state, hint) => {
  expect(await list('--state', state)).toMatchObject({
    code: 64,
    stderr: `sealdex: option '--state <state>' argument '${state}' is invalid. ${hint} See: sealdex jobs list --help\n`,
  });
});
