// `sealdex jobs cancel` and `sealdex parked discard`: what they count, ask, print and refuse.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProducer, type Producer } from '../../src/app/app.ts';
import { documentOf } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf } from './output.ts';
import { startOnTerminal } from './run.ts';
import { openScene, type Scene } from './fixture.ts';

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene({ SEALDEX_PROBE_MIN_MS: 600_000, SEALDEX_PROBE_MAX_MS: 3_600_000 });
  producer = await createProducer(scene.settings);
});

afterAll(async () => {
  await producer[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
});

const cancel = (...args: string[]) => scene.sealdex(['jobs', 'cancel', '--tenant', 'acme', ...args]);
const discard = (...args: string[]) => scene.sealdex(['parked', 'discard', '--tenant', 'acme', ...args]);

const enqueue = async (id: string): Promise<string> =>
  (await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf(id, 'Text.') })).jobId;

test('--dry-run prints the number of jobs by kind and cancels none', async () => {
  expect(await cancel('--dry-run')).toMatchObject({ code: 0, stdout: 'would cancel 0 jobs\n', stderr: '' });
  const job = await enqueue('one');
  expect(await cancel('--dry-run')).toMatchObject({ code: 0, stdout: 'would cancel 1 job (index 1)\n' });
  expect(jsonOf((await cancel('--dry-run', '--json')).stdout)).toEqual([
    { cancelable: 1, kinds: { index: 1 }, active: 0 },
  ]);
  expect((await cancel('--dry-run', '--kind', 'upload')).stdout).toBe('would cancel 0 jobs\n');
  expect((await cancel('--dry-run', '--corpus', 'other')).stdout).toBe('would cancel 0 jobs\n');
  expect((await producer.status(job)).state).toBe('queued');
});

test('--yes cancels the jobs, and jobs show explains the state', async () => {
  const job = await enqueue('two');
  expect(jsonOf((await cancel('--yes', '--json', '--corpus', 'docs')).stdout)).toEqual([
    { canceled: 2, active: 0, contentLeft: 0 },
  ]);
  const shown = await scene.sealdex(['jobs', 'show', job]);
  expect(shown.stdout).toMatch(/^state +dead\ncode +JOB_CANCELED: an operator canceled the job; /m);
  expect((await cancel('--yes')).stdout).toBe('canceled 0\n');
});

test.each([
  ['n\n', 'No jobs were canceled.', 'queued'],
  ['y\n', 'canceled 1', 'dead'],
])('the response %j on a terminal ends with %s', async (answer, line, state) => {
  await cancel('--yes');
  const job = await enqueue('asked');
  await using running = startOnTerminal(['jobs', 'cancel', '--tenant', 'acme'], scene.settings);
  await eventually(() => running.stdout().includes('Permanently cancel 1 job (index 1) of tenant acme'));
  running.child.stdin?.write(answer);
  expect((await running.ended).stdout).toContain(line);
  expect((await producer.status(job)).state).toBe(state);
});

test('parked discard cancels parked jobs only', async () => {
  await cancel('--yes');
  scene.services.kms.disable(scene.keyArn);
  const parked = await enqueue('parked');
  const worker = await scene.startWorker();
  await eventually(async () => (await producer.status(parked)).state === 'parked');
  await worker.stop();
  const queued = await enqueue('queued');
  expect((await discard('--dry-run')).stdout).toBe('would cancel 1 job (index 1)\n');
  expect((await discard('--yes')).stdout).toBe('canceled 1\n');
  expect(await producer.status(parked)).toMatchObject({ state: 'dead', code: 'JOB_CANCELED' });
  expect((await producer.status(queued)).state).toBe('queued');
  expect((await scene.sealdex(['parked', 'list'])).stderr).toBe('No jobs are parked.\n');
});

test.each([
  [['jobs', 'cancel'], /^sealdex: required option '--tenant <name>' not specified\./],
  [['jobs', 'cancel', '--tenant', 'acme'], /Cannot ask for confirmation without a terminal\. Use --yes\./],
  [['jobs', 'cancel', '--tenant', 'acme', '--json'], /Cannot ask for confirmation without a terminal\. Use --yes\./],
  [['parked', 'discard', '--tenant', 'acme', '--kind', 'reencrypt'], /Expected index, upload, delete\./],
])('sealdex %j exits with 64', async (args, message) => {
  const { code, stdout, stderr } = await scene.sealdex(args);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(message);
});
