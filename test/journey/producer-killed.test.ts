// A caller with repeatedly killed producers that repeats its requests: every document is stored by exactly one job.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openScene, type Scene } from '../producer/fixture.ts';

const CHILD = fileURLToPath(new URL('./producer-child.ts', import.meta.url));
const DOCUMENTS = 120;

interface Line {
  readonly n: number;
  readonly status: string;
  readonly jobId: string;
  readonly revision: number;
}

/** Runs a producer until it ends, or kills it after the given number of lines, during the next document. */
async function produce(scene: Scene, killAfter: number): Promise<Line[]> {
  const args = [CHILD, JSON.stringify(scene.settings), '0', String(DOCUMENTS)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines: Line[] = [];
  for await (const text of createInterface(child.stdout)) {
    lines.push(JSON.parse(text) as Line);
    if (lines.length === killAfter) child.kill('SIGKILL');
  }
  await ended;
  return lines;
}

it('kill -9 of producers at any time loses no document and stores none twice', async () => {
  await using scene = await openScene({ SEALDEX_INLINE_BYTES: 1024 });
  await scene.tenant('acme');
  const stop = await scene.work();
  const runs: Line[][] = [];
  for (const killAfter of [1, 17, 40, 90]) runs.push(await produce(scene, killAfter));
  // A producer that fails, as after a timeout on a busy machine, is run again, as its caller would.
  do runs.push(await produce(scene, Infinity));
  while ((runs.at(-1)?.length ?? 0) < DOCUMENTS && runs.length < 20);
  const last = runs.at(-1) ?? [];
  expect(last.map(({ n }) => n)).toEqual(Array.from({ length: DOCUMENTS }, (_, n) => n));
  // Results of an earlier run are the same in later ones.
  for (const { n, jobId, revision } of runs.flat())
    expect({ jobId, revision }).toEqual({ jobId: last[n]!.jobId, revision: last[n]!.revision });
  const queued = runs.flat().filter(({ status }) => status === 'queued');
  expect(new Set(queued.map(({ jobId }) => jobId)).size).toBe(queued.length);

  const reader = await scene.reader();
  const place = { tenant: 'acme', corpus: 'docs' };
  const stored = await eventually(async () => {
    const { documents } = await reader.list({ ...place, metadata: true, limit: 1000 });
    return documents.length === DOCUMENTS && documents;
  });
  for (const { revision, document } of stored) {
    const n = Number(document?.metadata['n']);
    expect({ id: document?.id, revision }).toEqual({ id: `doc-${n}`, revision: last[n]!.revision });
  }
  await stop();
  expect(await scene.jobs()).toEqual([]);
});
