// `sealdex index`: the queued documents, the rejected ones with their lines, and the output for each.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createReader, type RunningWorker } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf, noticesOf } from './output.ts';
import { startInProcess } from './in-process.ts';
import { temporaryFolder, type Folder } from './temporary-folder.ts';
import { coreOf, JOB, openScene, type Scene } from './fixture.ts';

let scene: Scene;
let worker: RunningWorker;
let folder: Folder;
let corpora = 0;
let corpus = '';

beforeAll(async () => {
  folder = temporaryFolder();
  scene = await openScene({ SEALDEX_DOCUMENT_BYTES: 65_536, SEALDEX_METADATA_BYTES: 65_536 });
  worker = await scene.startWorker();
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await scene[Symbol.asyncDispose]();
});

beforeEach(() => {
  corpus = `c${corpora++}`;
});

function file(name: string, ...parts: (string | Uint8Array)[]): string {
  writeFileSync(join(folder.path, name), Buffer.concat(parts.map((part) => Buffer.from(part))));
  return name;
}

const index = (args: readonly string[], input?: string) =>
  scene.sealdex(['index', '--tenant', 'acme', '--corpus', corpus, ...args], {
    cwd: folder.path,
    ...(input === undefined ? {} : { input }),
  });

/** Ids of the documents that are stored in the test's corpus. */
async function stored(): Promise<string[]> {
  await using reader = await createReader(scene.settings);
  const { documents } = await reader.list({ tenant: 'acme', corpus, metadata: true });
  return documents.map(({ document }) => document?.id ?? '?').sort();
}

const PRETTY = JSON.stringify(JSON.parse(coreOf('pretty')), null, 2);

describe('index', () => {
  test('prints one line per document, in order, for several files and standard input', async () => {
    const files = [
      file('one.json', coreOf('one')),
      file('pretty.json', PRETTY),
      file('array.json', `[\n${coreOf('a1')},\n${coreOf('a2')}]`),
      file('lines.ndjson', '\uFEFF', `${coreOf('l1')}\r\n\r\n${coreOf('l2')}\r\n`),
    ];
    const { code, stdout, stderr } = await index(['--wait', ...files, '-'], coreOf('stdin'));
    expect(noticesOf(stderr)).toEqual(['7 stored.']);
    expect(code).toBe(0);
    const lines = linesOf(stdout).map((line) => line.split('  '));
    expect(lines.map(([status, , place]) => [status, place])).toEqual([
      ['queued', 'one.json:1'],
      ['queued', 'pretty.json:1'],
      ['queued', 'array.json:1'],
      ['queued', 'array.json:2'],
      ['queued', 'lines.ndjson:1'],
      ['queued', 'lines.ndjson:3'],
      ['queued', '-:1'],
    ]);
    for (const [, job] of lines) expect(job).toMatch(JOB);
    expect(await stored()).toEqual(['a1', 'a2', 'l1', 'l2', 'one', 'pretty', 'stdin']);
  });

  test('exits without --wait when all documents are queued', async () => {
    const { code, stdout, stderr } = await index([file('quick.json', coreOf('quick'))]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '1 queued.\n' });
    expect(stdout).toMatch(/^queued {2}j[0-9a-f]{32} {2}quick\.json:1\n$/);
    await eventually(async () => (await stored()).includes('quick'));
  });
});

describe('index reports each rejected document with its line, enqueues the others and exits with 65', () => {
  test('for bad lines of NDJSON of all kinds', async () => {
    const lines = [
      coreOf('good1'),
      '{broken secret',
      '{"type":"core","id":"\ud800","document_parts":[{"text":"secret"}]}',
      JSON.stringify({ type: 'core', id: 'x', document_parts: [{ text: 'secret' }], extra: 'secret' }),
      '42',
      JSON.stringify({ type: 'core', id: 'long', document_parts: [{ text: 'secret'.repeat(20_000) }] }),
      `{"type":"core","id":"deep","document_parts":[{"text":"t","metadata":{"a":${'['.repeat(5000)}${']'.repeat(5000)}}}]}`,
      coreOf('good2'),
    ];
    const bytes = Buffer.from(lines.join('\n'));
    const { code, stdout, stderr } = await index([
      '--wait',
      file('bad.ndjson', bytes, '\n{"id":"', Buffer.of(0xff), '"}\n'),
    ]);
    expect(code).toBe(65);
    expect(linesOf(stdout).map((line) => line.split('  ')[2])).toEqual([
      'bad.ndjson:1',
      'bad.ndjson:3',
      'bad.ndjson:8',
    ]);
    const reported = noticesOf(stderr);
    expect(reported.pop()).toBe('3 stored, 6 refused.');
    expect(
      reported.map((line) => /^refused {2}bad\.ndjson:(\d+) {2}.+ \(DOCUMENT_INVALID\)\.$/.exec(line)?.[1]),
    ).toEqual(['2', '4', '5', '6', '7', '9']);
    expect(reported[1]).toContain('extra is not a known field');
    expect(reported[5]).toContain('document is not valid UTF-8');
    expect(stdout + stderr).not.toContain('secret');
    // Node writes a lone surrogate as U+FFFD, which is valid UTF-8 and could be another id.
    expect(await stored()).toEqual(['good1', 'good2', '\uFFFD']);
  });

  test('as one line of JSON with its code and field with --json', async () => {
    const lines = `${coreOf('fine')}\n{"type":"core","id":"","document_parts":[]}\n{bad\n`;
    const { code, stdout, stderr } = await index([
      '--json',
      '--wait',
      file('mixed.ndjson', lines),
      file('none.json', ''),
    ]);
    expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 65, notices: [] });
    const jobId = expect.stringMatching(JOB) as string;
    const refused = { status: 'refused', code: 'DOCUMENT_INVALID', message: expect.stringMatching(/\.$/) as string };
    expect(jsonOf(stdout)).toEqual([
      { file: 'mixed.ndjson', line: 1, status: 'queued', jobId, revision: expect.any(Number) as number },
      { file: 'mixed.ndjson', line: 2, ...refused, field: 'document_parts' },
      { file: 'mixed.ndjson', line: 3, ...refused, field: 'document' },
      { file: 'none.json', line: 1, ...refused, field: 'document' },
      { file: 'mixed.ndjson', line: 1, jobId, state: 'done' },
      { queued: 1, refused: 3, failed: 0, done: 1, superseded: 0, dead: 0, parked: 0, unfinished: 0 },
    ]);
  });

  test('for files without a document', async () => {
    const files = [file('empty.json', ''), file('array0.json', '[]'), file('broken.json', '{\n"id":1,\n}')];
    const { code, stdout, stderr } = await index(files);
    expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      'refused  empty.json:1  document is empty (DOCUMENT_INVALID).',
      'refused  array0.json:1  document is an empty array (DOCUMENT_INVALID).',
      expect.stringMatching(/^refused {2}broken\.json:3 {2}document is not valid JSON/),
      '0 queued, 3 refused.',
    ]);
  });
});

describe('index prints an error of all documents once', () => {
  const many = Array.from({ length: 200 }, (_, line) => coreOf(`d${line}`)).join('\n');

  test('and exits with 65 for an unknown tenant', async () => {
    const args = ['index', '--tenant', 'nobody', '--corpus', corpus, '--wait', file('many.ndjson', many)];
    const { code, stdout, stderr } = await scene.sealdex(args, { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      '0 stored, 64 refused.',
      expect.stringMatching(/^sealdex: .*tenant.*\(TENANT_UNKNOWN\)\. .*\.$/),
    ]);
  });

  test('and exits with 66 for a missing file, without queueing the others', async () => {
    const { code, stdout, stderr } = await index([file('here.json', coreOf('here')), 'missing.json']);
    expect({ code, stdout, stderr }).toEqual({
      code: 66,
      stdout: '',
      stderr: 'sealdex: missing.json: file not found.\n',
    });
    expect(await index(['--json', '.'])).toMatchObject({
      code: 66,
      stdout: '',
      stderr: 'sealdex: .: is a directory; give files.\n',
    });
  });

  test('and exits with 69 while S3 is unreachable, with the number of failed documents', async () => {
    const settings = { ...scene.settings, AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' };
    const args = ['index', '--tenant', 'acme', '--corpus', corpus, file('many.ndjson', many)];
    const { code, stdout, stderr } = await scene.sealdex(args, { settings, cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 69, stdout: '' });
    expect(linesOf(stderr)).toEqual([
      '0 queued, 64 failed.',
      expect.stringMatching(/^sealdex: S3 .* \(STORE_FAILED ECONNREFUSED\)\. .*\.$/),
    ]);
  });

  test("and exits with 75 if the tenant's key is disabled and its content is then rejected", async () => {
    const keyArn = scene.services.kms.createKey();
    await scene.operator.putTenant('shut', { plan: 'pro', kmsKeyArn: keyArn, whenKeyShut: 'refuse' });
    scene.services.kms.setState(keyArn, 'Disabled');
    const args = ['index', '--tenant', 'shut', '--corpus', corpus, file('many.ndjson', many)];
    const { code, stdout, stderr } = await scene.sealdex(args, { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 75, stdout: '' });
    expect(stderr).toMatch(/\nsealdex: The tenant's KMS key is disabled \(KEY_DISABLED\b.*\)\. .*\n$/);
  });
});

test('Ctrl-C while index reads exits with 130 and reports the documents queued before', async () => {
  const first = Array.from({ length: 64 }, (_, line) => coreOf(`d${line}`)).join('\n');
  await using running = startInProcess(['index', '--tenant', 'acme', '--corpus', corpus, '-'], {
    settings: scene.settings,
    stdin: 'open',
  });
  running.stdin.write(`${first}\n`);
  await eventually(() => linesOf(running.stdout()).length === 64);
  running.kill('SIGINT');
  const { code, stderr } = await running.ended;
  expect(code).toBe(130);
  expect(linesOf(stderr)).toEqual(['Stopped after -:64. Later documents were not enqueued.', '64 queued.']);
});

// Last: it stops the worker, which would index them in the same process.
test('ten thousand lines are queued, with one line of JSON each', async () => {
  await worker.stop();
  const many = Array.from({ length: 10_000 }, (_, line) => coreOf(`d${line}`)).join('\n');
  const { code, stdout, stderr } = await index(['--json', file('many.ndjson', many)]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const jobs = jsonOf(stdout);
  expect(jobs.pop()).toEqual({
    queued: 10_000,
    refused: 0,
    failed: 0,
    done: 0,
    superseded: 0,
    dead: 0,
    parked: 0,
    unfinished: 0,
  });
  expect(jobs.map(({ line }) => line)).toEqual(Array.from({ length: 10_000 }, (_, line) => line + 1));
  expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(10_000);
});
