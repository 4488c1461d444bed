// `sealdex dead`: lists, shows, replays and discards dead letters, and rejects wrong input.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newJobId } from '../../src/jobs/jobs.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { putDeadLetters, type DeadLetterSpec } from '../queue/dead-letter-fixture.ts';
import { dataOf } from '../queue/fixture.ts';
import { RAISED_FLAGS } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { jsonOf, linesOf, textsOf } from './output.ts';
import { BIN, start } from './run.ts';
import { startInProcess } from './in-process.ts';
import { openScene, type Scene } from './fixture.ts';

let scene: Scene;
let redis: Redis;
let bull: Queue;

beforeAll(async () => {
  scene = await openScene();
  redis = new Redis(scene.services.redisUrl);
  bull = new Queue('index', { connection: redis, prefix: redisKeys(String(scene.settings.SEALDEX_QUEUE)).prefix });
});

afterEach(async () => {
  await redis.del(['failed', 'wait', 'prioritized'].map((set) => bull.toKey(set)));
});

afterAll(async () => {
  await bull.close();
  redis.disconnect();
  await scene[Symbol.asyncDispose]();
});

const dead = (...args: string[]) => scene.sealdex(['dead', ...args]);
const letters = (...laid: Partial<DeadLetterSpec>[]): Promise<string[]> =>
  putDeadLetters(
    { redis, bull },
    laid.map((one, at) => ({ since: Date.parse('2026-11-20T10:00:00Z') + at * 60_000, ...one })),
  );

const waiting = async (): Promise<number> =>
  (await redis.zcard(bull.toKey('prioritized'))) + (await redis.llen(bull.toKey('wait')));

describe('dead list', () => {
  test('prints that there are no dead letters, with or without a filter', async () => {
    expect(await dead('list')).toMatchObject({ code: 0, stdout: '', stderr: 'There are no dead letters.\n' });
    expect((await dead('list', '--tenant', 'acme')).stderr).toBe('No dead letters match.\n');
  });

  test('prints one line per dead letter, newest first, and the command that shows the next ones', async () => {
    const [old, young] = await letters({}, { reason: 'TENANT_UNKNOWN x', data: 'no JSON' });
    const { code, stdout, stderr } = await dead('list', '--wide');
    expect(code).toBe(0);
    const lines = linesOf(stdout).map((line) => line.split(/ {2,}/));
    expect(lines).toEqual([
      ['JOB', 'KIND', 'TENANT', 'CODE', 'SINCE', 'ATTEMPTS', 'REASON'],
      [young, '-', '-', 'TENANT_UNKNOWN', '2026-11-20T10:01:00Z', '1'],
      [old, 'index', 'acme', 'CONTENT_MISSING', '2026-11-20T10:00:00Z', '1'],
    ]);
    expect(stderr).toBe('Details: sealdex dead show JOB. To replay: sealdex dead replay --all\n');
    for (const filter of [[], ['--limit', '9'], ['--since', '2026-11-20T09:00Z']]) {
      const footer = (await dead('list', ...filter)).stderr;
      expect(footer).toContain('To replay: sealdex dead replay --');
      const words = footer.slice(footer.indexOf('sealdex dead replay ')).trim().split(' ').slice(2);
      expect(await dead(...words, '--dry-run')).toMatchObject({ code: 0, stderr: '' });
    }
    expect(jsonOf((await dead('list', '--json')).stdout)).toMatchObject([
      { jobId: young, code: 'TENANT_UNKNOWN' },
      {
        jobId: old,
        tenant: 'acme',
        corpus: 'docs',
        kind: 'index',
        revision: expect.any(Number) as number,
        attempts: 1,
      },
    ]);
  });

  test('lists uploads with the reason why the file could not be read', async () => {
    const files = new Queue('upload', {
      connection: redis,
      prefix: `sealdex:{${String(scene.settings.SEALDEX_QUEUE)}}`,
    });
    try {
      const jobId = newJobId();
      const data = JSON.stringify({ ...dataOf(), kind: 'upload', content: { intake: '0123456789abcdef' } });
      const since = Date.parse('2026-11-20T10:00:00Z');
      await putDeadLetters({ redis, bull: files }, [
        { jobId, since, data, reason: `FILE_UNREADABLE ${jobId} pdf-encrypted` },
      ]);
      const explanation = 'The PDF is encrypted. Remove the password and upload it again.';
      const [, line = ''] = linesOf((await dead('list', '--wide')).stdout);
      expect(line.split(/ {2,}/)).toEqual([
        jobId,
        'upload',
        'acme',
        'FILE_UNREADABLE',
        '2026-11-20T10:00:00Z',
        '1',
        explanation,
      ]);
      expect(jsonOf((await dead('list', '--json')).stdout)).toMatchObject([
        { jobId, queue: 'upload', kind: 'upload', reason: 'pdf-encrypted', explanation },
      ]);
      expect((await dead('show', jobId)).stdout).toMatch(new RegExp(`^reason +${explanation}$`, 'm'));
      expect((await scene.sealdex(['jobs', 'show', jobId])).stdout).toMatch(
        new RegExp(`^reason +${explanation}$`, 'm'),
      );
      expect((await dead('discard', '--yes', jobId)).stdout).toBe('discarded 1\n');
    } finally {
      await files.close();
    }
  });

  test('prints a command that lists the next ones', async () => {
    const ids = await letters({}, {}, { jobId: 'a job: by somebody' }, {}, {});
    const seen: unknown[] = [];
    let args: string[] = ['--limit', '2'];
    for (let page = 0; page < 3; page += 1) {
      const { stdout, stderr } = await dead('list', '--json', ...args);
      seen.push(...jsonOf(stdout).map(({ jobId }) => jobId));
      args = /^More results: sealdex dead list (.*)\n$/.exec(stderr)?.[1]?.split(' ') ?? [];
      expect(args.length > 0).toBe(page < 2);
    }
    expect(seen).toEqual(ids.toReversed());
  });

  test('--since accepts an age or a time', async () => {
    const [old, young] = await letters({}, { since: Date.now() - 60_000 });
    const since = async (time: string): Promise<unknown[]> =>
      jsonOf((await dead('list', '--json', '--since', time)).stdout).map(({ jobId }) => jobId);
    expect(await since('2h')).toEqual([young]);
    expect(await since('30s')).toEqual([]);
    expect(await since('2026-11-20T12:00+02:00')).toEqual([young, old]);
    expect(await since('2026-11-21')).toEqual([young]);
  });

  test('has an alias that the help does not list', async () => {
    const [id] = await letters({});
    expect(jsonOf((await scene.sealdex(['dlq', 'list', '--json'])).stdout)).toMatchObject([{ jobId: id }]);
    for (const args of [['--help'], ['dlq', '--help']]) expect((await scene.sealdex(args)).stdout).not.toMatch(/dlq/i);
  });
});

describe.concurrent('wrong usage exits with 64 before anything is opened:', () => {
  test.each<[string[], RegExp]>([
    [
      ['list', '--since', 'yesterday'],
      /--since <time>.* 'yesterday' is invalid\. Expected an age \(500ms, 30m, 2h, 7d\) or a UTC time/,
    ],
    [['list', '--since', '2026-11-20T10:00'], /--since <time>.*is invalid/],
    [['replay'], /Specify job ids, --tenant, --code or --since, or use --all\./],
    [['replay', '--all', '--tenant', 'acme'], /--all cannot be combined/],
    [['replay', '--since', '2026-13-45'], /--since <time>.*is invalid/],
    [['list', '--code', 'KEY_LOST'], /--code <code>.* 'KEY_LOST' is invalid\. Unknown code\./],
    [['list', '--limit', '0'], /--limit <n>.* '0' is invalid\. Expected a positive integer\./],
    [['replay', '--rate', '501'], /--rate <n>.* '501' is invalid\. Expected an integer from 1 to 500\./],
    [['discard', '--yes'], /Specify job ids, --tenant, --code or --since, or use --all\./],
    [['discard', '--limit', '5', '--yes'], /Specify job ids/],
    [['discard', '--all', '--tenant', 'acme', '--yes'], /--all cannot be combined with job ids or filters\./],
    [['discard', '--all'], /Cannot ask for confirmation without a terminal\. Use --yes\./],
    [['show'], /missing required argument 'job'/],
  ])('sealdex dead %j', async (args, sentence) => {
    const { code, stdout, stderr } = await scene.sealdex(['dead', ...args], { settings: {} });
    expect(stderr).toMatch(sentence);
    expect({ code, stdout, lines: linesOf(stderr).length }).toEqual({ code: 64, stdout: '', lines: 1 });
  });
});

describe('dead show', () => {
  test('prints the job, its code and the remedy', async () => {
    const [id = ''] = await letters({});
    const { code, stdout, stderr } = await dead('show', id);
    expect(code).toBe(0);
    const facts = Object.fromEntries(
      linesOf(stdout).map((line) => [line.split(/ {2,}/)[0], line.split(/ {2,}/)[1]] as const),
    );
    expect(facts).toEqual({
      job: id,
      kind: 'index',
      tenant: 'acme',
      corpus: 'docs',
      revision: expect.stringMatching(/^\d{16}$/) as string,
      code: 'CONTENT_MISSING',
      description: "the job's content is missing from intake storage",
      remedy: 'submit the document again',
      since: expect.stringMatching(/^2026-11-20T10:00:00Z \(\d+d ago\)$/) as string,
      attempts: '1',
    });
    expect(stderr).toBe(`To replay: sealdex dead replay ${id}\n`);
    expect(jsonOf((await dead('show', '--json', id)).stdout)).toMatchObject([
      { jobId: id, description: facts['description'] },
    ]);
  });

  test('exits with 66 for a job that is not a dead letter, and prints its state', async () => {
    const id = newJobId();
    expect(await dead('show', id)).toMatchObject({
      code: 66,
      stdout: '',
      stderr: `Job ${id} is not a dead letter (state: unknown).\n`,
    });
  });
});

describe('dead replay', () => {
  test('--dry-run counts by code and changes nothing', async () => {
    await letters({}, {}, { reason: 'TENANT_UNKNOWN x' });
    expect((await dead('replay', '--all', '--dry-run')).stdout).toBe(
      'would replay 3: CONTENT_MISSING 2, TENANT_UNKNOWN 1\n',
    );
    expect(jsonOf((await dead('replay', '--all', '--dry-run', '--json', '--limit', '2')).stdout)).toEqual([
      { letters: 2, codes: { CONTENT_MISSING: 2 } },
    ]);
    expect(await bull.getFailedCount()).toBe(3);
  });

  test('reports which jobs failed again, and exits with 65', async () => {
    await using worker = await scene.startWorker();
    const [id = ''] = await letters({});
    expect(await dead('replay', id)).toMatchObject({
      code: 65,
      stdout: 'replayed 1: 1 failed again; see sealdex dead list --code CONTENT_TAMPERED\n',
    });
    const [ended] = jsonOf((await dead('replay', '--json', '--since', '1h', '--rate', '500')).stdout);
    expect(ended).toEqual({
      sent: 1,
      alreadyTaken: 0,
      tooOld: 0,
      stored: 0,
      superseded: 0,
      deadAgain: { CONTENT_TAMPERED: 1 },
      unknown: 0,
      underWay: 0,
    });
    await worker.stop();
  });

  test('reports a job over the age limit, and exits with 65', async () => {
    const [id = ''] = await letters({ data: JSON.stringify(dataOf({ revision: 1_600_000_000_000_000 })) });
    expect(await dead('replay', id)).toMatchObject({
      code: 65,
      stdout: 'replayed 0\n1 too old to replay (submit the documents again)\n',
    });
    expect(await bull.getFailedCount()).toBe(1);
  });

  test('exits with 66 and replays nothing if the jobs are not dead letters', async () => {
    expect(await dead('replay', newJobId())).toMatchObject({
      code: 66,
      stdout: 'replayed 0\n',
      stderr: '1 job is not a dead letter or does not match the filter.\n',
    });
    expect(await dead('replay', '--all')).toMatchObject({ code: 0, stdout: 'replayed 0\n', stderr: '' });
  });

  test('loses no job if it is killed; the next run replays the rest, and reports it after Ctrl-C', async () => {
    const count = 300;
    await letters(...Array.from({ length: count }, () => ({})));
    await using killed = start(['dead', 'replay', '--all', '--rate', '100'], { settings: scene.settings });
    await eventually(async () => (await bull.getFailedCount()) < count - 20);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const left = await bull.getFailedCount();
    expect(left).toBeGreaterThan(0);
    expect(left + (await waiting())).toBe(count);

    await using next = startInProcess(['dead', 'replay', '--all', '--rate', '500'], { settings: scene.settings });
    await eventually(async () => (await bull.getFailedCount()) === 0);
    next.kill('SIGINT');
    const { code, stdout } = await next.ended;
    expect(code).toBe(130);
    expect(stdout).toBe(`replayed ${left}: ${left} still running (check sealdex status for workers)\n`);
    expect(await waiting()).toBe(count);
  });
});

describe('dead discard', () => {
  test('--yes discards the selected dead letters and prints their number', async () => {
    const [kept, gone = '', both = ''] = await letters({}, { reason: 'TENANT_UNKNOWN x' }, {});
    expect(await dead('discard', '--yes', gone)).toMatchObject({ code: 0, stdout: 'discarded 1\n' });
    expect(jsonOf((await dead('discard', '--yes', '--json', both, gone)).stdout)).toEqual([
      { discarded: 1, alreadyTaken: 0, contentLeft: 0 },
    ]);
    expect(await redis.zrange(bull.toKey('failed'), '0', '-1')).toEqual([kept]);
    expect((await dead('discard', '--all', '--yes')).stdout).toBe('discarded 1\n');
    expect(await bull.getFailedCount()).toBe(0);
  });

  test('exits with 66 for a job that is not a dead letter', async () => {
    expect(await dead('discard', '--yes', newJobId())).toMatchObject({ code: 66, stdout: 'discarded 0\n' });
  });

  test('removes the content from S3', async () => {
    const id = newJobId();
    const intake = '0123456789abcdef';
    const address = `${scene.services.s3.endpoint}/${String(scene.settings.SEALDEX_BUCKET)}/intake/acme/${id}/${intake}`;
    expect((await fetch(address, { method: 'PUT', body: 'bytes' })).ok).toBe(true);
    await letters({ jobId: id, data: JSON.stringify(dataOf({ content: { intake } })) });
    await dead('discard', '--yes', id);
    expect((await fetch(address)).status).toBe(404);
  });

  test.each([
    ['y\n', 'discarded 2', 0],
    ['n\n', 'No dead letters were deleted.', 2],
    ['\u0004', 'No dead letters were deleted.', 2],
  ])('accepts the response %j on a terminal', async (answer, printed, left) => {
    await letters({}, {});
    const command = `'${process.execPath}' '${BIN}' dead discard --all`;
    const terminal = spawn('script', ['-qec', command, '/dev/null'], {
      env: { PATH: process.env['PATH'] ?? '', NODE_OPTIONS: RAISED_FLAGS.join(' '), ...textsOf(scene.settings) },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    terminal.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await eventually(() => text.includes('[y/N]'));
    terminal.stdin.write(answer);
    await once(terminal, 'close');
    expect(text).toContain('Permanently delete 2 dead letters (CONTENT_MISSING 2) and their content? [y/N] ');
    expect(text).toContain(printed);
    expect(await bull.getFailedCount()).toBe(left);
  });
});
