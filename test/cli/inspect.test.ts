// The read-only commands: read, list, status and jobs, on valid, missing and wrong input.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProducer, type RunningWorker } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf } from './output.ts';
import { openScene, type Scene } from './fixture.ts';

const PAGES = 130;

let scene: Scene;
let worker: RunningWorker;
let jobId = '';

const DOCUMENT = {
  type: 'structured',
  id: 'hello',
  title: 'A title\nof \u001b[31mtwo lines',
  description: 'About it',
  metadata: { lang: 'en' },
  sections: [{ title: 'One', text: 'Hello, world.' }, { text: 'Second section.' }],
};

beforeAll(async () => {
  scene = await openScene();
  worker = await scene.startWorker();
  await using producer = await createProducer(scene.settings);
  const result = await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: DOCUMENT });
  jobId = result.jobId;
  const many = Array.from({ length: PAGES }, (_, at) => ({
    tenant: 'globex',
    corpus: 'many',
    document: { type: 'core', id: `d${at}`, document_parts: [{ text: `Text ${at}.` }] },
  }));
  await producer.enqueueIndexBulk(many);
  await eventually(async () => {
    const { waiting, active, delayed } = (await scene.operator.status()).index;
    return waiting + active + delayed === 0;
  });
});

afterAll(() => scene[Symbol.asyncDispose]());

const acme = (command: string, ...args: string[]) =>
  scene.sealdex([command, '--tenant', 'acme', '--corpus', 'docs', ...args]);

describe('read', () => {
  test('prints the metadata of the document, then its text', async () => {
    const { code, stdout, stderr } = await acme('read', 'hello');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const end = stdout.indexOf('\n}\n') + 3;
    expect(JSON.parse(stdout.slice(0, end))).toMatchObject({
      id: 'hello',
      title: DOCUMENT.title,
      description: 'About it',
      metadata: { lang: 'en' },
    });
    expect(stdout).not.toContain('\u001b');
    expect(stdout.slice(end)).toContain('\nHello, world.\n');
    expect(stdout.slice(end)).toContain('\nSecond section.\n');
  });

  test('--json prints the record as JSON lines', async () => {
    const { code, stdout, stderr } = await acme('read', '--json', 'hello');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [head, ...parts] = jsonOf(stdout);
    expect(head).toMatchObject({ v: 1, tenant: 'acme', corpus: 'docs', id: 'hello', parts: parts.length });
    expect(parts.map((part) => String(part['text'])).join(' ')).toContain('Hello, world.');
  });

  test('--metadata prints only the metadata of the document', async () => {
    const { stdout } = await acme('read', '--metadata', 'hello');
    expect(JSON.parse(stdout)).toMatchObject({ id: 'hello', metadata: { lang: 'en' } });
    expect(jsonOf((await acme('read', '--metadata', '--json', 'hello')).stdout)).toEqual([JSON.parse(stdout)]);
  });

  test('exits with 66 for a missing document', async () => {
    expect(await acme('read', 'nothing')).toMatchObject({
      code: 66,
      stdout: '',
      stderr: 'sealdex: The document does not exist (NOT_FOUND). Check the tenant, corpus and document id.\n',
    });
  });

  test('exits with 65 for a modified object, and prints nothing after the modified part', async () => {
    const { stdout } = await acme('list', '--json');
    const [{ object } = {}] = jsonOf(stdout);
    const key = `documents/acme/docs/${String(object)}`;
    const { s3 } = scene.services;
    const address = `${s3.endpoint}/${String(scene.settings.SEALDEX_BUCKET)}/${key}`;
    const good = await fetch(address);
    const bytes = Buffer.from(await good.arrayBuffer());
    const headers = Object.fromEntries([...good.headers].filter(([name]) => name.startsWith('x-amz-meta-')));
    const put = async (body: Buffer): Promise<void> => {
      const { ok } = await fetch(address, { method: 'PUT', body: new Uint8Array(body), headers });
      expect(ok).toBe(true);
    };
    const changed = Buffer.from(bytes);
    changed[changed.length - 200] = (changed[changed.length - 200] ?? 0) ^ 1;
    await put(changed);
    try {
      const ended = await acme('read', 'hello');
      expect(ended.code).toBe(65);
      expect(ended.stderr).toMatch(
        /sealdex: The object failed authentication: it was modified after it was written \(OBJECT_TAMPERED.*\)\. .*\n$/,
      );
      expect(ended.stdout).not.toContain('Second section.');
    } finally {
      await put(bytes);
    }
  });
});

describe('list', () => {
  test('prints one line per document: revision, bytes, object, and on request id and title', async () => {
    const { code, stdout, stderr } = await acme('list', '--wide');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^REVISION +BYTES {2}STATE +OBJECT\n\d{16} +\d+ {2}stored {2}[0-9a-f]{64}\n$/);
    const short = await acme('list');
    expect(short.stdout).toMatch(
      /^REVISION +SIZE {2}STATE +OBJECT\n\d{16} +(?:\d+B|\d(?:\.\d)?KiB) {2}stored {2}[0-9a-f]+…\n$/,
    );
    const withIds = await acme('list', '--metadata');
    expect(linesOf(withIds.stdout)).toHaveLength(2);
    expect(withIds.stdout).toMatch(/ {2}hello {2}A title of \uFFFD\[31mtwo lines\n$/);
    expect(jsonOf((await acme('list', '--metadata', '--json')).stdout)).toMatchObject([
      { isDeleted: false, document: { id: 'hello', title: DOCUMENT.title } },
    ]);
  });

  test('fetches further pages and stops at --limit', async () => {
    const globex = ['list', '--tenant', 'globex', '--corpus', 'many', '--json'];
    const objects = jsonOf((await scene.sealdex(globex)).stdout).map(({ object }) => object);
    expect(objects).toHaveLength(PAGES);
    expect(new Set(objects).size).toBe(PAGES);
    for (const limit of [1, 100, 101]) {
      const some = jsonOf((await scene.sealdex([...globex, '--limit', String(limit)])).stdout);
      expect(some.map(({ object }) => object)).toEqual(objects.slice(0, limit));
    }
  });

  test('prints a notice beside the empty result for an empty corpus', async () => {
    for (const json of [[], ['--json']]) {
      expect(await scene.sealdex(['list', '--tenant', 'acme', '--corpus', 'none', ...json])).toMatchObject({
        code: 0,
        stdout: '',
        stderr: 'Tenant acme has no documents in corpus none.\n',
      });
    }
  });

  test('exits with 65 for an unknown tenant', async () => {
    const ended = await scene.sealdex(['list', '--tenant', 'nobody', '--corpus', 'docs']);
    expect(ended).toMatchObject({
      code: 65,
      stdout: '',
      stderr: expect.stringContaining('(TENANT_UNKNOWN)') as string,
    });
  });
});

describe('jobs show', () => {
  test('prints the state of a finished job', async () => {
    const { code, stdout, stderr } = await scene.sealdex(['jobs', 'show', jobId]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [job, state, since] = linesOf(stdout);
    expect([job, state]).toEqual([`job    ${jobId}`, 'state  done']);
    expect(since).toMatch(/^since {2}2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ \(\d+(ms|s|m) ago\)$/);
    const shown = jsonOf((await scene.sealdex(['jobs', 'show', '--json', jobId])).stdout);
    expect(shown).toEqual([{ job: jobId, state: 'done', since: expect.any(Number) as number }]);
  });

  test('exits with 66 for an unknown job', async () => {
    const unknown = `j${'0'.repeat(32)}`;
    const { code, stdout, stderr } = await scene.sealdex(['jobs', 'show', unknown]);
    expect({ code, stdout }).toEqual({ code: 66, stdout: `job    ${unknown}\nstate  unknown\n` });
    expect(stderr).toBe('Job not found. It finished more than SEALDEX_STATUS_MS ago or never existed.\n');
    const asJson = await scene.sealdex(['jobs', 'show', '--json', unknown]);
    expect(asJson.code).toBe(66);
    expect(jsonOf(asJson.stdout)).toEqual([{ job: unknown, state: 'unknown' }]);
  });
});

// Last: they end the worker.
describe('status', () => {
  test('adds up the numbers of all processes', async () => {
    await using second = await scene.startWorker();
    // Heartbeats contain the state of a process some seconds ago.
    await eventually(async () => {
      const { processes } = await scene.operator.status();
      return (
        processes.length >= 2 && processes.some(({ keys, kmsCalls }) => keys > 0 && (kmsCalls['Decrypt'] ?? 0) > 0)
      );
    });
    const { code, stdout, stderr } = await scene.sealdex(['status', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [status = {}] = jsonOf(stdout);
    const processes = status['processes'] as { role: string; keys: number; kmsCalls: Record<string, number> }[];
    expect(processes.length).toBeGreaterThanOrEqual(2);
    expect(status['keys']).toBe(processes.reduce((sum, { keys }) => sum + keys, 0));
    expect(status['keys']).toBeGreaterThan(0);
    const decrypts = processes.reduce((sum, { kmsCalls }) => sum + (kmsCalls['Decrypt'] ?? 0), 0);
    expect(status['kmsCalls']).toMatchObject({ Decrypt: decrypts });
    expect(decrypts).toBeGreaterThan(0);

    const lines = linesOf((await scene.sealdex(['status', '--wide'])).stdout);
    expect(lines[0]).toBe(`Queue ${String(scene.settings.SEALDEX_QUEUE)}: 0 waiting, 0 active, 0 delayed, 0 dead`);
    expect(lines[1]).toBe('Uploads: 0 waiting, 0 active, 0 delayed, 0 dead');
    expect(lines[2]).toMatch(/^Data keys in memory: \d+, the oldest for \d+(ms|s|m)$/);
    expect(lines[3]).toMatch(/^KMS calls by running processes: .*Decrypt \d+/);
    expect(lines[5]).toMatch(/^PROCESS +ROLE +VERSION +PID +STARTED +KEYS +TENANTS$/);
    expect(lines.filter((line) => / worker +0\.1\.0 +\d+ /.test(line)).length).toBeGreaterThanOrEqual(2);
    expect(lines.join('\n')).not.toContain('No worker');
    await second.stop();
  });

  test('explains how to start a worker if there is none, and how long the next job has waited', async () => {
    await worker.stop();
    await using producer = await createProducer(scene.settings);
    await producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: DOCUMENT });
    await eventually(async () => (await scene.operator.status()).processes.every(({ role }) => role !== 'worker'));
    const lines = linesOf((await scene.sealdex(['status'])).stdout);
    expect(lines[0]).toMatch(/: 1 waiting, 0 active, 0 delayed, 0 dead; oldest waiting \d+(ms|s)$/);
    expect(lines.at(-1)).toBe('No worker is running. Start one: sealdex worker');
  });
});
