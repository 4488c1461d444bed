// Jobs added to the queue without the producer: they become dead letters with a code, and affect no other job.
import type { JobsOptions } from 'bullmq';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import type { Code } from '../../src/runtime/errors.ts';
import { newJobId } from '../../src/jobs/jobs.ts';
import { eventually } from '../support/eventually.ts';
import type { Forge, Forged, ForgeRequest } from '../support/forge.ts';
import { openForge } from './forge.ts';
import { metricsOf, openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

const opened = new AsyncDisposableStack();
let installation: Installation;
let forge: Forge;
let keyArn: string;
let running: RunningWorker;

beforeAll(async () => {
  installation = opened.use(await openInstallation());
  keyArn = await installation.tenant('acme');
  await installation.tenant('other');
  forge = opened.use(openForge(installation));
  running = opened.use(await worker());
});

afterAll(() => opened.disposeAsync());

/** A job returned after a stall waits for the shortest time. */
const worker = (): Promise<RunningWorker> =>
  startWorker(installation.settings, { host: '127.0.0.1', afterStall: () => 0 });

const forged = (request: Partial<ForgeRequest> = {}): Promise<Forged> =>
  forge.forge({ tenant: 'acme', keyArn, ...request });

/** Adds the given job, waits until it is a dead letter, and returns its facts. */
async function failedReason(id: string, data: unknown, options: JobsOptions = {}): Promise<string | undefined> {
  await installation.queue.add('index', data, { jobId: id, ...options });
  return eventually(async () => {
    const job = await installation.queue.getJob(id);
    return job?.finishedOn === undefined ? undefined : `${job.failedReason} ${(job.stacktrace ?? []).join('')}`.trim();
  });
}

async function expectWorkerUnharmed(): Promise<void> {
  const text = `Still at work ${newJobId()}`;
  await installation.producer.enqueueIndex({ tenant: 'acme', corpus: 'docs', document: documentOf('witness', text) });
  await eventually(async () => (await textOf(installation.reader, 'acme', 'docs', 'witness')).includes(squeezed(text)));
}

type Shape = (good: Record<string, unknown>) => unknown;

const SHAPES: Record<string, Shape> = {
  nothing: () => ({}),
  null: () => null,
  'a string': () => 'document',
  'an array': () => [1, 2, 3],
  'no version': (good) => ({ ...good, v: undefined }),
  'version 0': (good) => ({ ...good, v: 0 }),
  'a kind given as a number': (good) => ({ ...good, kind: 7 }),
  'no tenant': (good) => ({ ...good, tenant: undefined }),
  'a tenant that leaves its folder': (good) => ({ ...good, tenant: '../acme' }),
  'a corpus with a slash': (good) => ({ ...good, corpus: 'docs/other' }),
  'a fractional revision': (good) => ({ ...good, revision: 1.5 }),
  'a negative revision': (good) => ({ ...good, revision: -1 }),
  'an object without a hash': (good) => ({ ...good, object: 'x' }),
  'no content': (good) => ({ ...good, content: undefined }),
  'content other than base64': (good) => ({ ...good, content: { inline: '***' } }),
  'content of 12 MB': (good) => ({ ...good, content: { inline: 'A'.repeat(12_000_000) } }),
  'an intake name that leaves its folder': (good) => ({ ...good, content: { intake: '../../../tenants' } }),
  'two contents': (good) => ({ ...good, content: { inline: 'AAAA', intake: '0123456789abcdef' } }),
  'an unknown field': (good) => ({ ...good, secret: 'words of a document' }),
  '__proto__ as a field': (good) => JSON.parse(`{"__proto__":{"v":1},${JSON.stringify(good).slice(1)}`),
};

test.for(Object.entries(SHAPES))('data with %s becomes a dead letter at once', async ([, shape]) => {
  const { id, data } = await forged();
  expect(await failedReason(id, shape({ ...data }))).toBe(`JOB_INVALID ${id}`);
});

type Tamper = (one: Forged, two: Forged) => object;

const TAMPERED: Record<string, [Tamper, Code]> = {
  'bytes other than a message': [
    () => ({ content: { inline: Buffer.from('garbage').toString('base64') } }),
    'CONTENT_TAMPERED',
  ],
  'empty content': [() => ({ content: { inline: '' } }), 'CONTENT_TAMPERED'],
  'the content of another job': [(_, two) => ({ content: two.data.content }), 'CONTENT_TAMPERED'],
  'a raised revision': [({ data }) => ({ revision: data.revision + 1_000_000 }), 'CONTENT_TAMPERED'],
  'another corpus': [() => ({ corpus: 'secret' }), 'CONTENT_TAMPERED'],
  'another document': [() => ({ object: 'b'.repeat(64) }), 'CONTENT_TAMPERED'],
  'another tenant': [() => ({ tenant: 'other' }), 'CONTENT_TAMPERED'],
  'an unknown tenant': [() => ({ tenant: 'nobody' }), 'TENANT_UNKNOWN'],
  'deleted content': [() => ({ content: { intake: '0123456789abcdef' } }), 'CONTENT_MISSING'],
};

test.for(Object.entries(TAMPERED))('a job with %s becomes a dead letter at once', async ([, [tamper, code]]) => {
  const [one, two] = [await forged(), await forged()];
  expect(await failedReason(one.id, { ...one.data, ...tamper(one, two) })).toBe(`${code} ${one.id}`);
});

const structured = (more: object): Partial<ForgeRequest> => ({
  body: JSON.stringify({ type: 'structured', id: 'x', sections: [{ text: 'Text.' }], ...more }),
});

const nested = (levels: number): object => (levels === 0 ? {} : { a: nested(levels - 1) });
const nestedSections = (levels: number): object[] =>
  levels === 1 ? [{ text: 'Text.' }] : [{ sections: nestedSections(levels - 1) }];
const longPart = { type: 'core', id: 'x', document_parts: [{ text: 'a'.repeat(16_385) }] };

const FAULTS: Record<string, [Partial<ForgeRequest>, Code]> = {
  'no JSON': [{ body: 'words of a document' }, 'DOCUMENT_INVALID'],
  'no sections': [{ body: '{"type":"structured","id":"x","title":"T","sections":[]}' }, 'DOCUMENT_INVALID'],
  'an unknown field': [structured({ secret: 'words of a document' }), 'DOCUMENT_INVALID'],
  'a lone surrogate': [structured({ title: '\ud800' }), 'DOCUMENT_INVALID'],
  'a metadata key __proto__': [structured({ metadata: JSON.parse('{"__proto__":{"a":1}}') }), 'DOCUMENT_INVALID'],
  '50 levels of metadata': [structured({ metadata: nested(50) }), 'DOCUMENT_INVALID'],
  '50 levels of sections': [structured({ sections: nestedSections(50) }), 'DOCUMENT_INVALID'],
  'metadata of 2 MiB': [structured({ metadata: { a: 'a'.repeat(2 * 1_048_576) } }), 'DOCUMENT_INVALID'],
  'a long part of a core document': [{ body: JSON.stringify(longPart) }, 'DOCUMENT_INVALID'],
  'another id than its header': [{ body: JSON.stringify(documentOf('another', 'Text.')) }, 'CONTENT_TAMPERED'],
  'a header of another tenant': [{ header: { tenant: 'other' } }, 'CONTENT_TAMPERED'],
  'a header of another kind': [{ header: { kind: 'delete' } }, 'CONTENT_TAMPERED'],
  'a header with an unknown field': [{ header: { more: 1 } as object }, 'CONTENT_TAMPERED'],
};

test.for(Object.entries(FAULTS))(
  'valid ciphertext of content with %s becomes a dead letter at once',
  async ([, [fault, code]]) => {
    const { id, data } = await forged(fault);
    expect(await failedReason(id, data)).toBe(`${code} ${id}`);
    expect((await installation.queue.getJob(id))?.attemptsMade).toBeLessThanOrEqual(1);
    await expectWorkerUnharmed();
  },
);

test.for([
  ['a version', { v: 2, anything: true }],
  ['a kind', { kind: 'compact' }],
] as const)(
  '%s of a newer producer waits without spending attempts, and becomes a dead letter after 30 days',
  async ([, newer]) => {
    const { id, data } = await forged();
    await installation.queue.add('index', { ...data, ...newer }, { jobId: id });
    await eventually(async () => (await installation.producer.status(id)).code === 'JOB_NEWER');
    const job = await installation.queue.getJob(id);
    expect({ state: await job?.getState(), attempts: job?.attemptsMade }).toEqual({ state: 'delayed', attempts: 0 });
    for (const timestamp of [Date.now() - 30 * 24 * 3_600_000 - 1, Date.now() + 24 * 3_600_000]) {
      const old = await forged();
      expect(await failedReason(old.id, { ...old.data, ...newer }, { timestamp })).toBe(`JOB_NEWER ${old.id}`);
    }
  },
);

const OPTIONS: Record<string, JobsOptions> = {
  'removeOnComplete: false': { removeOnComplete: false },
  'attempts: 1': { attempts: 1 },
  'no priority': {},
  'the last priority': { priority: 2 ** 21 - 1 },
  lifo: { lifo: true },
  'a foreign backoff': { attempts: 3, backoff: { type: 'nobody knows', delay: 1 } },
  'a stack of 1,000': { stackTraceLimit: 1000 },
};

test.for(Object.entries(OPTIONS))(
  'a valid job with %s is done and leaves nothing in the queue',
  async ([, options]) => {
    const { id, data } = await forged();
    await installation.queue.add('a name\n{of} "somebody"', data, { jobId: id, ...options });
    expect(await installation.end(id)).toBe('done');
    expect(await installation.redis.exists(installation.queue.toKey(id))).toBe(0);
  },
);

test.for(['words of a document', 'ünï cödé', '__proto__', 'j123', `J${'0'.repeat(32)}`, 'a:b:c'])(
  'a job with the id %j becomes a dead letter without its id',
  async (id) => {
    const { data } = await forged();
    expect(await failedReason(id, data)).toBe('JOB_INVALID -');
  },
);

test('a job cannot remove dead letters with removeOnFail', async () => {
  const before = (await installation.operator.status()).index.dead;
  for (let count = 1; count <= 5; count += 1) {
    const { id } = await forged();
    await failedReason(id, {}, { removeOnFail: { count: 1 }, removeOnComplete: { count: 1 } });
    const alsoGone = await forged();
    await failedReason(alsoGone.id, {}, { removeOnFail: true });
    expect((await installation.operator.status()).index.dead).toBe(before + 2 * count);
  }
  await expectWorkerUnharmed();
});

test('a job of a schedule creates no further jobs', async () => {
  await installation.queue.upsertJobScheduler('flood', { every: 20 }, { name: 'index', data: {} });
  const scheduled = async (set: string): Promise<string[]> =>
    (await installation.redis.zrange(installation.queue.toKey(set), '0', '-1')).filter((id) =>
      id.startsWith('repeat:flood'),
    );
  await eventually(async () => (await scheduled('failed')).length > 0);
  await expectWorkerUnharmed();
  expect((await scheduled('failed')).length).toBe(1);
  expect(await scheduled('delayed')).toEqual([]);
});

test('an entry with invalid JSON becomes a dead letter, and the worker takes the next ones', async () => {
  const id = newJobId();
  const entry = installation.queue.toKey(id);
  await installation.queue.add('index', {}, { jobId: id, delay: 600_000 });
  await installation.redis.hset(entry, 'data', '{"v":1,"tenant":"words of');
  await (await installation.queue.getJob(id).catch(() => undefined))?.promote();
  await installation.queue
    .getBackend()
    .promote(id)
    .catch(() => {});
  expect(await installation.end(id)).toBe('dead JOB_INVALID');
  await expectWorkerUnharmed();
});

test("an entry with another job's id in its data is processed under its own id", async () => {
  const { id, data } = await forged();
  const entry = installation.queue.toKey(id);
  await installation.queue.add('index', data, { jobId: id, delay: 600_000 });
  await installation.redis.hset(entry, 'id', newJobId());
  await installation.queue.getBackend().promote(id);
  expect(await installation.end(id)).toBe('done');
});

test.for([
  ['opts', 'no JSON'],
  ['opts', 'null'],
  ['progress', '{'],
  ['parent', '<'],
] as const)('an entry with %s of %j stalls, is repaired and then processed', async ([field, text]) => {
  const { id, data } = await forged();
  const entry = installation.queue.toKey(id);
  await installation.queue.add('index', data, { jobId: id, delay: 600_000 });
  await installation.redis.hset(entry, field, text);
  await installation.queue.getBackend().promote(id);
  await eventually(async () => (await installation.redis.lpos(installation.queue.toKey('active'), id)) !== null);
  await expectWorkerUnharmed();
  const isOver = await eventually(async () => {
    const { state } = await installation.producer.status(id);
    if (state !== 'done' && (await isAbandoned(id))) await expireLock(id);
    return state === 'done';
  });
  expect(isOver).toBe(true);
});

/** Whether the job was taken and is not being processed; checked twice, since a worker may have just taken it. */
async function isAbandoned(id: string): Promise<boolean> {
  const readLock = async (): Promise<string | null> => {
    const lock = await installation.redis.get(`${installation.queue.toKey(id)}:lock`);
    const isTaken = (await installation.redis.lpos(installation.queue.toKey('active'), id)) !== null;
    const { sealdex_jobs_active: working } = await metricsOf(running.port, 'sealdex_jobs_active');
    return isTaken && working === 0 ? (lock ?? '') : null;
  };
  const before = await readLock();
  return before !== null && (await readLock()) === before;
}

/** Its lock expires between two checks for stalled jobs; the second one is made by a worker at its start. */
async function expireLock(id: string): Promise<void> {
  const [lastCheck, seen] = [installation.queue.toKey('stalled-check'), installation.queue.toKey('stalled')];
  await installation.redis.del(`${installation.queue.toKey(id)}:lock`, lastCheck);
  await installation.redis.sadd(seen, id);
  await using starting = await worker();
  await eventually(async () => (await installation.redis.exists(lastCheck)) === 1);
  expect(starting.port).toBeGreaterThan(0);
}

test('deleted content does not matter if the stored revision is as high', async () => {
  const first = await installation.producer.enqueueIndex({
    tenant: 'acme',
    corpus: 'docs',
    document: documentOf('kept', 'One.'),
  });
  await installation.end(first.jobId);
  const page = await installation.reader.list({ tenant: 'acme', corpus: 'docs', metadata: true });
  const object = page.documents.find(({ document }) => document?.id === 'kept')?.object;
  const content = { intake: '0123456789abcdef' };
  for (const [revision, state] of [
    [first.revision, 'done'],
    [first.revision - 1, 'superseded'],
  ] as const) {
    const { id, data } = await forged();
    await installation.queue.add('index', { ...data, object, revision, content }, { jobId: id });
    expect(await installation.end(id)).toBe(state);
  }
  const { id, data } = await forged();
  expect(await failedReason(id, { ...data, object, revision: first.revision + 1, content })).toBe(
    `CONTENT_MISSING ${id}`,
  );
});
