// `sealdex index --wait` with unsuccessful jobs: dead, never taken, or no longer waited for.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/runtime/config.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf, noticesOf, unwrapped } from './output.ts';
import { isAlive, start, type Running } from './run.ts';
import { temporaryFolder, type Folder } from './temporary-folder.ts';
import { startInProcess, type InProcess } from './in-process.ts';
import { coreOf, JOB, openScene, type Scene } from './fixture.ts';

let scene: Scene;
let folder: Folder;

beforeEach(async () => {
  folder = temporaryFolder();
  // All content is in S3, where a test can delete it.
  scene = await openScene({ SEALDEX_INLINE_BYTES: 0 });
  writeFileSync(join(folder.path, 'docs.ndjson'), `${coreOf('a')}\n${coreOf('b')}\n`);
});

afterEach(async () => {
  folder[Symbol.dispose]();
  await scene[Symbol.asyncDispose]();
});

const ARGS = ['index', '--tenant', 'acme', '--corpus', 'docs', '--wait', 'docs.ndjson'];

/** Resolves when both documents are queued. */
const queued = (running: Pick<Running, 'stdout'>): Promise<unknown> =>
  eventually(() => linesOf(running.stdout()).length === 2);

async function startWaiting(...options: string[]): Promise<InProcess> {
  const running = startInProcess([...ARGS, ...options], { settings: scene.settings, cwd: folder.path });
  await queued(running);
  return running;
}

/** Deletes the content of one of the waiting jobs. */
async function loseContentOf(jobId: string): Promise<void> {
  const store = createStore(loadConfig(scene.settings, {}), 'prompt');
  try {
    const { objects } = await store.list(`intake/acme/${jobId}/`);
    expect(objects).toHaveLength(1);
    for (const { key } of objects) await store.remove(key);
  } finally {
    store.close();
  }
}

test('--wait reports a dead job with its code and remedy, and exits with 65', async () => {
  await using running = await startWaiting();
  const jobId = /j[0-9a-f]{32}/.exec(linesOf(running.stdout())[1] ?? '')?.[0] ?? '';
  await loseContentOf(jobId);
  await scene.startWorker();
  const { code, stdout, stderr } = await running.ended;
  expect(code).toBe(65);
  expect(linesOf(stdout)).toHaveLength(2);
  expect(noticesOf(stderr)).toEqual([
    `dead  ${jobId}  docs.ndjson:2  The job's content is missing from intake storage (CONTENT_MISSING). Submit the document again.`,
    '1 stored, 1 dead.',
  ]);
  const shown = await scene.sealdex(['jobs', 'show', jobId]);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(unwrapped(shown.stdout)).toMatch(
    /^state {5}dead\ncode {6}CONTENT_MISSING: the job's content is missing from intake storage; .*$/m,
  );
});

test('--wait --json prints one line per outcome', async () => {
  await using running = await startWaiting('--json');
  const jobId = String(jsonOf(running.stdout())[0]?.['jobId']);
  await loseContentOf(jobId);
  await scene.startWorker();
  const { code, stdout, stderr } = await running.ended;
  expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 65, notices: [] });
  const lines = jsonOf(stdout);
  expect(lines).toHaveLength(5);
  expect(lines).toContainEqual({ file: 'docs.ndjson', line: 1, jobId, state: 'dead', code: 'CONTENT_MISSING' });
  const stored = { file: 'docs.ndjson', line: 2, jobId: expect.stringMatching(JOB) as string, state: 'done' };
  expect(lines).toContainEqual(stored);
  expect(lines.at(-1)).toEqual({
    queued: 2,
    refused: 0,
    failed: 0,
    done: 1,
    superseded: 0,
    dead: 1,
    parked: 0,
    unfinished: 0,
  });
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the wait with exit code 75; the jobs still run', async (signal) => {
  await using running = start(ARGS, { settings: scene.settings, cwd: folder.path });
  await queued(running);
  running.child.kill(signal);
  const { code, stderr } = await running.ended;
  expect(code).toBe(75);
  expect(noticesOf(stderr)).toEqual(['0 stored, 2 unfinished (still in the queue; see sealdex status).']);
  expect(isAlive(running.pid)).toBe(false);
  expect((await scene.operator.status()).index).toMatchObject({ waiting: 2 });
  await scene.startWorker();
  await eventually(async () => {
    const { waiting, active, delayed, dead } = (await scene.operator.status()).index;
    return waiting + active + delayed + dead === 0;
  });
});
