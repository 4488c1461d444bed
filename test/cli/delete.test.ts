// `sealdex delete`: the output for each id, rejected ids, and the removal of the documents.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { jsonOf, linesOf, noticesOf } from './output.ts';
import { coreOf, JOB, openScene, type Scene } from './fixture.ts';

let scene: Scene;
let corpora = 0;
let corpus = '';

beforeAll(async () => {
  scene = await openScene();
  await scene.startWorker();
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => {
  corpus = `c${corpora++}`;
});

const sealdex = (command: string, args: readonly string[], input?: string, tenant = 'acme') =>
  scene.sealdex([command, '--tenant', tenant, '--corpus', corpus, ...args], input === undefined ? {} : { input });

const stored = async (...ids: string[]): Promise<void> => {
  const { code } = await sealdex('index', ['--wait', '-'], ids.map((id) => coreOf(id)).join('\n'));
  expect(code).toBe(0);
};

test('--wait deletes the given documents and no others before it exits', async () => {
  await stored('a', 'b', 'kept');
  const { code, stdout, stderr } = await sealdex('delete', ['--wait', 'a', 'b', 'never was']);
  expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 0, notices: ['3 deleted.'] });
  const lines = linesOf(stdout).map((line) => line.split('  '));
  expect(lines.map(([status, , id]) => [status, id])).toEqual([
    ['queued', 'a'],
    ['queued', 'b'],
    ['queued', 'never was'],
  ]);
  for (const [, job] of lines) expect(job).toMatch(JOB);
  expect(await sealdex('read', ['a'])).toMatchObject({ code: 66, stdout: '' });
  expect(await sealdex('read', ['kept'])).toMatchObject({ code: 0 });
});

test('delete works while the KMS key of the tenant is disabled', async () => {
  await stored('a');
  scene.services.kms.disable(scene.keyArn);
  try {
    expect(await sealdex('delete', ['--wait', 'a'])).toMatchObject({ code: 0 });
  } finally {
    scene.services.kms.enable(scene.keyArn);
  }
  expect(await sealdex('read', ['a'])).toMatchObject({ code: 66 });
});

test('--json prints one line per document and outcome, then the counts', async () => {
  const { code, stdout, stderr } = await sealdex('delete', ['--json', '--wait', 'a', 'x'.repeat(10_000)]);
  expect({ code, notices: noticesOf(stderr) }).toEqual({ code: 65, notices: [] });
  const jobId = expect.stringMatching(JOB) as string;
  expect(jsonOf(stdout)).toEqual([
    { id: 'a', status: 'queued', jobId, revision: expect.any(Number) as number },
    {
      id: 'x'.repeat(10_000),
      status: 'refused',
      code: 'DOCUMENT_INVALID',
      field: 'id',
      message: expect.any(String) as string,
    },
    { id: 'a', jobId, state: 'done' },
    { queued: 1, refused: 1, failed: 0, done: 1, superseded: 0, parked: 0, dead: 0, unfinished: 0 },
  ]);
});

test('an invalid id is reported, the others are deleted, and the exit code is 65', async () => {
  const { code, stdout, stderr } = await sealdex('delete', ['', 'good']);
  expect(code).toBe(65);
  expect(linesOf(stdout)).toHaveLength(1);
  expect(linesOf(stderr)).toEqual([
    expect.stringMatching(/^refused {4}id must have 1 to .* \(DOCUMENT_INVALID\)\.$/) as string,
    '1 queued, 1 refused.',
  ]);
});

test('an id with line breaks is printed on one line', async () => {
  const { code, stdout } = await sealdex('delete', ['one\ntwo']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^queued {2}j[0-9a-f]{32} {2}one two\n$/);
});

test('an unknown tenant ends the command with one sentence', async () => {
  const { code, stdout, stderr } = await sealdex('delete', ['a', 'b'], undefined, 'nobody');
  expect({ code, stdout }).toEqual({ code: 65, stdout: '' });
  expect(linesOf(stderr)).toEqual(['0 queued, 2 refused.', expect.stringMatching(/TENANT_UNKNOWN/) as string]);
});

test('delete without an id is wrong usage', async () => {
  const { code, stderr } = await sealdex('delete', []);
  expect(code).toBe(64);
  expect(linesOf(stderr)).toHaveLength(1);
});
