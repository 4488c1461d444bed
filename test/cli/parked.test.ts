// Parked jobs on the command line: the list, a single one, status, a wait for them, and a rejected read.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProducer } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf, noticesOf, unwrapped } from './output.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { coreOf, openScene, type Scene } from './fixture.ts';

const TIME = String.raw`2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
const folder = temporaryFolder();

let scene: Scene;
let parked: string[] = [];

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 600_000, SEALDEX_PROBE_MAX_MS: 3_600_000 });
  await scene.startWorker();
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await scene[Symbol.asyncDispose]();
});

const list = (...args: string[]) => scene.sealdex(['parked', 'list', ...args]);

// In this order: nothing is parked yet.
test('parked list prints a notice beside the empty result if there are no parked jobs', async () => {
  expect(await list()).toMatchObject({ code: 0, stdout: '', stderr: 'No jobs are parked.\n' });
  expect(await list('--tenant', 'acme', '--json')).toMatchObject({
    code: 0,
    stdout: '',
    stderr: 'Tenant acme has no parked jobs.\n',
  });
});

test('index --wait exits with 75 when the jobs are parked, and prints that they resume automatically', async () => {
  writeFileSync(join(folder.path, 'docs.ndjson'), `${['a', 'b', 'c'].map((id) => coreOf(id)).join('\n')}\n`);
  scene.services.kms.disable(scene.keyArn);
  const index = ['index', '--tenant', 'acme', '--corpus', 'docs', '--wait', 'docs.ndjson'];
  const { code, stdout, stderr } = await scene.sealdex(index, { cwd: folder.path });
  expect(code).toBe(75);
  parked = linesOf(stdout).map((line) => /j[0-9a-f]{32}/.exec(line)?.[0] ?? '');
  const lines = noticesOf(stderr);
  expect(lines.toSorted()).toEqual(
    [
      ...parked.map(
        (job, at) =>
          `parked  ${job}  docs.ndjson:${at + 1}  The tenant's KMS key is disabled (KEY_DISABLED). The job resumes automatically.`,
      ),
      '0 stored, 3 parked (they resume automatically; see sealdex keys list).',
    ].toSorted(),
  );
  expect(lines.at(-1)).toMatch(/^0 stored, /);

  const asJson = await scene.sealdex([...index, '--json'], { cwd: folder.path });
  expect({ code: asJson.code, stderr: asJson.stderr }).toEqual({ code: 75, stderr: '' });
  const listed = jsonOf(asJson.stdout);
  expect(listed.filter(({ state }) => state === 'parked')).toHaveLength(3);
  expect(listed.at(-1)).toMatchObject({ queued: 3, done: 0, dead: 0, parked: 3, unfinished: 0 });
  parked.push(...listed.flatMap(({ status, jobId }) => (status === 'queued' ? [String(jobId)] : [])));
});

test('parked list prints one line per job, oldest first, and stops at --limit', async () => {
  const { code, stdout, stderr } = await list('--wide');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [header, ...lines] = linesOf(stdout);
  expect(header).toMatch(/^JOB +TENANT +KEY +CODE +SINCE +COUNT$/);
  for (const line of lines)
    expect(line).toMatch(new RegExp(`^j[0-9a-f]{32} +acme +${scene.keyArn} +KEY_DISABLED +${TIME} +1$`));
  const jobs = jsonOf((await list('--json')).stdout);
  expect(jobs.map(({ jobId }) => jobId)).toEqual(lines.map((line) => line.slice(0, 33)));
  expect(new Set(jobs.map(({ jobId }) => jobId))).toEqual(new Set(parked));
  const times = jobs.map(({ since }) => Number(since));
  expect(times).toEqual(times.toSorted((one, other) => one - other));

  const some = await list('--limit', '2', '--json');
  expect(jsonOf(some.stdout)).toEqual(jobs.slice(0, 2));
  expect(some.stderr).toMatch(/^More jobs are parked\. /);
  expect((await list('--limit', String(jobs.length))).stderr).toBe('');
  expect((await list('--tenant', 'globex')).stdout).toBe('');
});

test('jobs show prints the park time, park count, gate and next probe', async () => {
  const [job = ''] = parked;
  const { code, stdout, stderr } = await scene.sealdex(['jobs', 'show', job]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^state +parked$/m);
  expect(stdout).toMatch(/^code +KEY_DISABLED: /m);
  expect(stdout).toMatch(new RegExp(`^since +${TIME} \\(\\d+(ms|s) ago\\)$`, 'm'));
  expect(stdout).toMatch(/^parked +once$/m);
  expect(unwrapped(stdout)).toMatch(
    /^gate +shut KEY_DISABLED, action by: tenant\. Details: sealdex keys show arn:\S+$/m,
  );
  expect(stdout).toMatch(/^next probe +in \d+(s|m)$/m);
  expect(jsonOf((await scene.sealdex(['jobs', 'show', '--json', job])).stdout)).toMatchObject([
    {
      job,
      state: 'parked',
      code: 'KEY_DISABLED',
      count: 1,
      attempts: 0,
      gate: { keyArn: scene.keyArn, state: 'shut' },
    },
  ]);
});

test('status counts parked jobs by tenant', async () => {
  const lines = linesOf((await scene.sealdex(['status'])).stdout);
  expect(lines[0]).toMatch(/: 0 waiting, 0 active, 6 delayed, 0 dead$/);
  expect(lines[2]).toBe('6 of the delayed jobs are parked');
  const header = lines.findIndex((line) => /^TENANT +PARKED +OLDEST +DEAD$/.test(line));
  expect(lines[header + 1]).toMatch(/^acme +6 +\d+(ms|s) +0$/);
  expect(lines[header + 2]).toBe('Parked jobs: see sealdex keys list');
  const [status] = jsonOf((await scene.sealdex(['status', '--json'])).stdout);
  expect(status?.['parkedByTenant']).toEqual([{ tenant: 'acme', jobs: 6, oldest: expect.any(Number) as number }]);
});

test('read exits with the code and the time of the shut gate', async () => {
  const { code, stdout, stderr } = await scene.sealdex(['read', '--tenant', 'acme', '--corpus', 'docs', 'a']);
  expect({ code, stdout }).toEqual({ code: 75, stdout: '' });
  expect(stderr).toMatch(
    new RegExp(
      `^sealdex: The tenant's KMS key is disabled \\(KEY_DISABLED DisabledException, since ${TIME}\\)\\. .*\\n$`,
    ),
  );
});

test('parked jobs finish when the key works again, and none stays parked', async () => {
  scene.services.kms.enable(scene.keyArn);
  expect((await scene.sealdex(['keys', 'release', scene.keyArn])).code).toBe(0);
  await using producer = await createProducer(scene.settings);
  for (const job of parked)
    await eventually(async () => ['done', 'superseded'].includes((await producer.status(job)).state));
  expect((await list()).stderr).toBe('No jobs are parked.\n');
});
