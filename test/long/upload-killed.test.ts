// 200 files of many types through the command line, while a worker and its file readers are killed: no file is lost, none
// becomes a dead letter, and nothing is left.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { jsonOf } from '../cli/output.ts';
import { start } from '../cli/run.ts';
import { temporaryFolder } from '../cli/temporary-folder.ts';
import { makeDocx, makeOdt, wordParagraph } from '../../packages/extract/test/make-office.ts';
import { makePdf } from '../../packages/extract/test/make-pdf.ts';
import { childrenOf, isAlive, processorMs } from '../extract/fixture.ts';
import { eventually } from '../support/eventually.ts';
import { openInstallation, squeezed, textOf } from '../journey/installation.ts';
import { keysUnder } from '../support/documents.ts';
import { startWorkerChild, type WorkerChild } from '../journey/worker-child.ts';

const FILES = 200;
const KILLS = 3;

const MAKERS: Record<string, (text: string) => Buffer> = {
  txt: (text) => Buffer.from(text),
  md: (text) => Buffer.from(`# A heading\n\n${text}\n`),
  html: (text) => Buffer.from(`<!doctype html><html><body><p>${text}</p></body></html>`),
  eml: (text) =>
    Buffer.from(
      `From: ann@example.org\r\nSubject: A letter\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${text}\r\n`,
    ),
  rtf: (text) => Buffer.from(String.raw`{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}\pard ` + text + String.raw`\par}`),
  docx: (text) => makeDocx(wordParagraph(text)),
  odt: (text) => makeOdt(`<text:p>${text}</text:p>`),
  pdf: (text) => makePdf({ pages: [[text]] }),
};

const saying = (index: number): string => `This is what file ${index} says.`;

/** Some seconds of reading, so that a process can be killed in the middle. */
const LONG = ' And it goes on, word after word.'.repeat(150_000);

const files = Array.from({ length: FILES }, (_, index) => {
  const makers = Object.entries(MAKERS);
  const [extension, make] = makers[index % makers.length]!;
  const isLong = extension === 'html' && index % 16 === 2;
  const text = saying(index);
  return { path: `files/of-${index % 7}/${index}.${extension}`, body: make(isLong ? text + LONG : text), text };
});

/** A starting process takes less CPU time than this; one with more has read. */
const STARTED_MS = 1200;
const STRETCH_MS = 250;

const deaths = (workers: readonly WorkerChild[]): number =>
  workers
    .flatMap((worker) => worker.log())
    .filter(({ reason, msg }) => reason === 'ExtractorDied' && msg === 'job will be retried').length;

/** Kills processes that have read for a while without a pause, until the given number of jobs have lost theirs. */
async function killReading(workers: readonly WorkerChild[], times: number): Promise<void> {
  const seen = new Map<number, number>();
  await eventually(() => {
    for (const pid of workers.flatMap((worker) => childrenOf(worker.pid))) {
      const used = processorMs(pid);
      const before = seen.get(pid);
      if (before === undefined || used === before) seen.set(pid, used);
      else if (used >= STARTED_MS && used - before >= STRETCH_MS) process.kill(pid, 'SIGKILL');
    }
    return deaths(workers) >= times;
  });
}

test('kill -9 of a worker and of its file readers loses no file of 200', async () => {
  using folder = temporaryFolder();
  for (const { path, body } of files) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), body);
  }
  await using installation = await openInstallation();
  await installation.tenant('acme');
  await using workers = new AsyncDisposableStack();
  const begin = async (): Promise<WorkerChild> => workers.use(await startWorkerChild(installation.settings));
  const [first, second] = await Promise.all([begin(), begin()]);
  await Promise.all([first.ready, second.ready]);

  const place = ['--tenant', 'acme', '--corpus', 'files'];
  await using upload = start(['upload', '--json', ...place, 'files'], {
    settings: installation.settings,
    cwd: folder.path,
  });
  await killReading([first, second], KILLS);
  // It is reading files at this time, and its child processes die with it.
  const readers = await eventually(() => {
    const pids = childrenOf(first.pid);
    return pids.length > 0 && pids;
  });
  first.kill('SIGKILL');
  const third = await begin();
  await eventually(() => !readers.some(isAlive));

  const { code, stdout } = await upload.ended;
  expect(code).toBe(0);
  const lines = jsonOf(stdout);
  expect(lines.at(-1)).toMatchObject({ queued: FILES, refused: 0, failed: 0 });
  for (const { jobId } of lines.slice(0, -1)) expect(await installation.end(String(jobId))).toBe('done');
  expect((await installation.operator.status()).upload.dead).toBe(0);
  for (const { path, text } of files)
    expect(await textOf(installation.reader, 'acme', 'files', path)).toContain(squeezed(text));
  expect(await keysUnder(installation.store, 'documents/acme/files/')).toHaveLength(FILES);
  await eventually(async () => (await keysUnder(installation.store, 'intake/')).length === 0);

  const last = [second, third].flatMap(({ pid }) => childrenOf(pid));
  for (const worker of [second, third]) {
    worker.kill('SIGTERM');
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  }
  expect(last.filter(isAlive)).toEqual([]);
});
