// The flow of index, upload and delete: batches, outages, rejected items, Ctrl-C, outcomes and exit codes.
import { describe, expect, test } from 'vitest';
import type { JobStatus, Producer } from '../../src/app/app.ts';
import { enqueueAll, inBatches, type EnqueueFlow, type SendResult } from '../../src/cli/enqueue-flow.ts';
import { Interrupted } from '../../src/cli/failure.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { FakeClock } from '../support/clock.ts';
import { recordedHost } from './in-process.ts';
import { jsonOf, linesOf } from './output.ts';
import { pass } from './pass-time.ts';
import { withHost } from '../../src/cli/host.ts';

type Send = (item: string, attempt: number) => SendResult;

interface Options extends Partial<Pick<EnqueueFlow<string>, 'documentOf' | 'failures' | 'total'>> {
  readonly send?: Send;
  readonly status?: (jobId: string) => JobStatus;
  readonly wait?: true;
  readonly json?: true;
  /** Called before a batch is sent. */
  readonly onBatch?: (batch: readonly string[], abort: () => void) => void;
}

const queued = (item: string): SendResult => ({ status: 'queued', jobId: `j-${item}`, revision: 1 });

/** Sends the items in batches of two. */
async function enqueue(items: readonly string[], options: Options = {}) {
  const { send = queued, status = () => ({ state: 'done' }), onBatch, failures = 'lines', total, wait, json } = options;
  const { documentOf } = options;
  const controller = new AbortController();
  const clock = new FakeClock();
  const batches: string[][] = [];
  const attempts = new Map<string, number>();
  const recorded = recordedHost();
  const flow: EnqueueFlow<string> = {
    batches: inBatches(items, 2),
    send: async (_, batch) => {
      batches.push([...batch]);
      onBatch?.(batch, () => controller.abort(new Interrupted('SIGINT')));
      return batch.map((item) => {
        attempts.set(item, (attempts.get(item) ?? 0) + 1);
        return send(item, attempts.get(item) ?? 0);
      });
    },
    ...(documentOf === undefined ? {} : { documentOf }),
    factsOf: (item) => ({ item }),
    nameOf: (item) => item,
    done: 'stored',
    failures,
    maxWaiting: 1,
    ...(total === undefined ? {} : { total }),
  };
  const producer = { status: async (jobId: string) => status(jobId) } as Producer;
  const chosen = { ...(wait ? { wait } : {}), ...(json ? { json } : {}) };
  const work = withHost(recorded.host, () => enqueueAll(producer, flow, chosen, controller.signal, clock));
  const error: unknown = await pass(
    clock,
    work.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  ).then(({ value }) => value);
  return {
    batches,
    error,
    clock,
    code: recorded.host.exitCode,
    stdout: recorded.stdout.text(),
    stderr: recorded.stderr.text(),
  };
}

describe('enqueueing', () => {
  test('prints one line per job in order, and the count', async () => {
    const { batches, stdout, stderr, code } = await enqueue(['a', 'b', 'c']);
    expect(batches).toEqual([['a', 'b'], ['c']]);
    expect(linesOf(stdout)).toEqual(['queued  j-a  a', 'queued  j-b  b', 'queued  j-c  c']);
    expect({ stderr, code }).toEqual({ stderr: '3 queued.\n', code: 0 });
  });

  test('prints a name with line breaks on one line', async () => {
    expect((await enqueue(['one\ntwo'])).stdout).toBe('queued  j-one\ntwo  one two\n');
  });

  test('reports a rejected item, enqueues the others, and sets exit code 65', async () => {
    const invalid = new SealdexError('DOCUMENT_INVALID', 'id is wrong.', { field: 'id' });
    const { stdout, stderr, code } = await enqueue(['bad', 'a', 'b'], {
      send: (item) => (item === 'bad' ? invalid : queued(item)),
    });
    expect(linesOf(stdout)).toHaveLength(2);
    expect(linesOf(stderr)).toEqual(['refused  bad  id is wrong (DOCUMENT_INVALID).', '2 queued, 1 refused.']);
    expect(code).toBe(65);
  });

  test('prints a table of the rejected items at the end if failures are shown as a table', async () => {
    const { stderr } = await enqueue(['bad', 'a'], {
      failures: 'table',
      total: 2,
      send: (item) => (item === 'bad' ? new SealdexError('FILE_NO_TEXT', 'It is empty.') : queued(item)),
    });
    expect(linesOf(stderr)).toEqual([
      'FILE  STATE    REASON',
      'bad   refused  It is empty (FILE_NO_TEXT).',
      '1 queued, 1 refused.',
    ]);
  });
});

describe('an outage', () => {
  const down = new SealdexError('STORE_FAILED', 'S3 does not respond.');

  test('shorter than 2.5 s is waited for, and only the failed items are sent again', async () => {
    const { batches, stdout, stderr, code } = await enqueue(['a', 'b', 'c'], {
      send: (item, attempt) => (item === 'b' && attempt < 3 ? down : queued(item)),
    });
    expect(batches).toEqual([['a', 'b'], ['b'], ['b'], ['c']]);
    expect(linesOf(stdout)).toEqual(['queued  j-a  a', 'queued  j-b  b', 'queued  j-c  c']);
    expect({ stderr, code }).toEqual({ stderr: '3 queued.\n', code: 0 });
  });

  test('does not make an earlier item win over a later one for the same document', async () => {
    const { batches, stderr, code } = await enqueue(['x1', 'x2'], {
      documentOf: (item) => item[0],
      send: (item, attempt) => (item === 'x1' && attempt < 2 ? down : queued(item)),
    });
    expect(batches).toEqual([['x1', 'x2']]);
    expect(linesOf(stderr)).toEqual(['failed  x1  S3 does not respond (STORE_FAILED).', '1 queued, 1 failed.']);
    expect(code).toBe(75);
  });

  test('during two items for the same document sends both again in order', async () => {
    const { batches, code } = await enqueue(['x1', 'x2'], {
      documentOf: (item) => item[0],
      send: (item, attempt) => (attempt < 2 ? down : queued(item)),
    });
    expect(batches).toEqual([
      ['x1', 'x2'],
      ['x1', 'x2'],
    ]);
    expect(code).toBe(0);
  });

  test('during a whole batch ends the command with its error, which is not printed for each item', async () => {
    const { batches, error, stderr } = await enqueue(['a', 'b', 'c', 'd', 'e'], {
      send: (item) => (item < 'c' ? queued(item) : down),
    });
    expect(error).toBe(down);
    expect(batches.flat()).not.toContain('e');
    expect(linesOf(stderr)).toEqual(['Stopped after b. Later documents were not enqueued.', '2 queued, 2 failed.']);
  });

  test('during one item does not end the command, which exits with 75', async () => {
    const { error, stderr, code } = await enqueue(['a', 'b', 'c'], {
      send: (item) => (item === 'b' ? down : queued(item)),
    });
    expect({ error, code }).toEqual({ error: undefined, code: 75 });
    expect(linesOf(stderr)).toEqual(['failed  b  S3 does not respond (STORE_FAILED).', '2 queued, 1 failed.']);
  });
});

test('an error of the whole installation is not retried', async () => {
  const unknown = new SealdexError('TENANT_UNKNOWN', 'There is no such tenant.');
  const { batches, error, stderr } = await enqueue(['a', 'b', 'c'], { send: () => unknown, total: 3 });
  expect(batches).toEqual([['a', 'b']]);
  expect(error).toBe(unknown);
  expect(linesOf(stderr)).toEqual(['Stopped. 1 of 3 files were not uploaded.', '0 queued, 2 refused.']);
});

describe('Ctrl-C', () => {
  test('during a batch ends the command after the queued items', async () => {
    const cutOff = new SealdexError('DOCUMENT_INVALID', 'It was cut off.');
    const { error, stdout, stderr } = await enqueue(['a', 'b', 'c', 'd'], {
      total: 4,
      onBatch: ([first], abort) => first === 'c' && abort(),
      send: (item) => (item === 'd' ? cutOff : queued(item)),
    });
    expect(error).toBeInstanceOf(Interrupted);
    expect(linesOf(stdout)).toHaveLength(3);
    expect(linesOf(stderr)).toEqual(['Stopped. 1 of 4 files were not uploaded.', '3 queued.']);
  });

  test('during a batch with --wait counts the queued items as unfinished', async () => {
    const cutOff = new SealdexError('DOCUMENT_INVALID', 'It was cut off.');
    const { stderr } = await enqueue(['a', 'b'], {
      wait: true,
      total: 2,
      onBatch: (_, abort) => abort(),
      send: (item) => (item === 'b' ? cutOff : queued(item)),
      status: () => ({ state: 'queued' }),
    });
    expect(linesOf(stderr).at(-1)).toBe('0 stored, 1 unfinished (still in the queue; see sealdex status).');
  });

  test('during an outage ends the wait', async () => {
    const { error, batches } = await enqueue(['a'], {
      send: () => new SealdexError('STORE_FAILED', 'S3 does not respond.'),
      onBatch: (_, abort) => abort(),
    });
    expect(error).toBeInstanceOf(Interrupted);
    expect(batches).toEqual([['a']]);
  });

  test('during the wait for outcomes leaves the jobs in the queue and exits with 75', async () => {
    let abortNow = (): void => {};
    const { error, stderr, code } = await enqueue(['a'], {
      wait: true,
      onBatch: (_, abort) => (abortNow = abort),
      status: () => {
        abortNow();
        return { state: 'queued' };
      },
    });
    expect({ error, code }).toEqual({ error: undefined, code: 75 });
    expect(linesOf(stderr)).toEqual(['0 stored, 1 unfinished (still in the queue; see sealdex status).']);
  });
});

describe('outcomes with --wait', () => {
  const STATUS: Record<string, JobStatus> = {
    'j-a': { state: 'done' },
    'j-b': { state: 'dead', code: 'CONTENT_MISSING' },
    'j-c': { state: 'parked', code: 'KEY_DISABLED', since: 1 },
    'j-d': { state: 'superseded' },
  };
  const status = (jobId: string): JobStatus => STATUS[jobId] ?? { state: 'unknown' };

  test('are counted, with an explanation for dead and parked jobs', async () => {
    const { stderr, code } = await enqueue(['a', 'b', 'c', 'd'], { wait: true, status });
    expect(code).toBe(65);
    expect(linesOf(stderr)).toEqual([
      expect.stringMatching(/^dead {2}j-b {2}b {2}.* \(CONTENT_MISSING\)\. .*\.$/),
      expect.stringMatching(/^parked {2}j-c {2}c {2}.* \(KEY_DISABLED\)\. The job resumes automatically\.$/),
      expect.stringMatching(/^1 stored, 1 superseded by a newer revision, 1 dead, 1 parked /),
    ]);
  });

  test('are JSON lines with --json, and the counts are the last line', async () => {
    const { stdout, stderr } = await enqueue(['a', 'b'], { wait: true, json: true, status });
    expect(stderr).toBe('');
    expect(jsonOf(stdout)).toEqual([
      { item: 'a', status: 'queued', jobId: 'j-a', revision: 1 },
      { item: 'b', status: 'queued', jobId: 'j-b', revision: 1 },
      { item: 'a', jobId: 'j-a', state: 'done' },
      { item: 'b', jobId: 'j-b', state: 'dead', code: 'CONTENT_MISSING' },
      { queued: 2, refused: 0, failed: 0, done: 1, superseded: 0, dead: 1, parked: 0, unfinished: 0 },
    ]);
  });

  test('missing for two minutes stop the command with exit code 75', async () => {
    const { batches, code } = await enqueue(['a', 'b', 'c'], { wait: true, status: () => ({ state: 'queued' }) });
    expect(batches).toEqual([['a', 'b']]);
    expect(code).toBe(75);
  });
});
