// A step of the demo that goes wrong is an answer, not an exception: each one is made to go wrong here.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createOperator, createProducer, createReader, startWorker } from '../../src/app/app.ts';
import { openBucket } from '../../src/demo/bucket.ts';
import { castOf, putTenants, sendingsOf, specimenOf } from '../../src/demo/cast.ts';
import type { CorpusFile } from '../../src/demo/corpus.ts';
import { enqueueAll, failedOf, type Sending, using } from '../../src/demo/indexing.ts';
import { judge } from '../../src/demo/judge.ts';
import { S3_ERRORS } from '@sealdex/local-aws';
import type { Services } from '../../src/cli/dev/local-services.ts';
import { testServices, type TestServices } from '../support/services.ts';

const { signal } = new AbortController();
const fileOf = (path: string, text: string): CorpusFile => ({ path, package: 'p', version: '1.0.0', text, bytes: 1 });
const FILES = [
  fileOf('a/README.md', '# A\n\nFirst. Second.\n\n## Inside\n- a list\n'),
  fileOf('b/README.md', 'b'),
  fileOf('c/LICENSE', 'c'),
  fileOf('d/README.md', '# Only one'),
];

const stageOf = (services: TestServices) => {
  const settings = { ...services.settings, SEALDEX_PORT: 0 };
  const tenants = castOf(() => services.kms.createKey(), String(settings.SEALDEX_PLATFORM_KEY_ARN));
  const bucket = openBucket(services.s3.endpoint, String(settings.SEALDEX_BUCKET));
  return { settings, tenants, bucket, sendings: sendingsOf(FILES, tenants) };
};

/** Sends documents and lets a worker index them, or not. */
async function send(
  { settings, tenants }: ReturnType<typeof stageOf>,
  sendings: readonly Sending[],
  withWorker: boolean,
): Promise<{ jobIds: (string | undefined)[]; failed: number; seen: [number, number][] }> {
  const seen: [number, number][] = [];
  return using(await createOperator(settings), async (operator) => {
    await putTenants(operator, tenants);
    return using(await createProducer(settings), async (producer) => {
      const jobIds = await enqueueAll(producer, sendings, (done, total) => seen.push([done, total]), signal);
      const wait = (deadlineMs: number): Promise<number> =>
        failedOf({
          producer,
          operator,
          jobIds: jobIds.flatMap((id) => id ?? []),
          progress: () => {},
          signal,
          deadlineMs,
        });
      const failed = withWorker
        ? await using(await startWorker(settings, { host: '127.0.0.1', log: 'silent' }), () => wait(30_000))
        : await wait(0);
      return { jobIds, failed, seen };
    });
  });
}

test('the specimen is the document of the first tenant with the most headings, with its file and key', async () => {
  await using services = await testServices();
  const { sendings, tenants } = stageOf(services);
  expect(sendings.map(({ tenant }) => tenant)).toEqual(['acme', 'globex', 'hooli', 'acme']);
  expect(specimenOf(FILES, sendings, tenants)).toEqual({
    tenant: 'acme',
    corpus: 'pages',
    id: 'a/README.md',
    keyArn: tenants[0]?.keyArn,
    text: FILES[0]?.text,
  });
});

describe('one stored document', () => {
  test('is what both readers say it is, until its object, its text or its key is another', async () => {
    await using services = await testServices();
    const stage = stageOf(services);
    const { settings, bucket, sendings, tenants } = stage;
    expect(await send(stage, sendings, true)).toMatchObject({ failed: 0 });
    const specimen = specimenOf(FILES, sendings, tenants);
    const look = (change: Partial<typeof specimen> = {}) =>
      judge(services as unknown as Services, settings, bucket, { ...specimen, ...change }, signal);

    const good = await look();
    expect(good).toMatchObject({ readBack: true, officialDecrypt: true, faults: [], parts: 5 });
    expect(good.object.start).toMatch(/^020478/);

    expect(await look({ text: `${specimen.text}!` })).toMatchObject({ readBack: false, officialDecrypt: true });
    expect(await look({ keyArn: tenants[1]?.keyArn ?? '' })).toMatchObject({ readBack: true, officialDecrypt: false });
    expect(await look({ id: 'nobody' })).toMatchObject({ readBack: false, officialDecrypt: false });

    services.kms.disable(specimen.keyArn);
    const shut = await look();
    expect(shut).toMatchObject({ readBack: false, officialDecrypt: false });
    expect(shut.faults).toContain('KEY_DISABLED');
    services.kms.enable(specimen.keyArn);

    const stored = await bucket.get(good.object.key, signal);
    const body = Buffer.from(stored?.body ?? '');
    body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
    const revision = /x-amz-meta-revision: (\d+)/.exec(stored?.headers ?? '')?.[1] ?? '';
    await bucket.put(good.object.key, body, { revision, v: '1' }, signal);
    expect(await look()).toMatchObject({ readBack: false, officialDecrypt: false, recordBytes: 0 });
  });

  test('an abort is no finding', async () => {
    await using services = await testServices();
    const { settings, bucket, sendings, tenants } = stageOf(services);
    const aborted = AbortSignal.abort(new Error('enough'));
    const specimen = specimenOf(FILES, sendings, tenants);
    await expect(judge(services as unknown as Services, settings, bucket, specimen, aborted)).rejects.toThrow('enough');
  });
});

test('documents that KMS or S3 has missed are sent once more, and not a third time', async () => {
  await using services = await testServices();
  const stage = stageOf(services);
  const large = stage.sendings.map((sending) => ({
    ...sending,
    document: { ...sending.document, title: randomBytes(8000).toString('hex') },
  }));
  const match = { method: 'PUT', prefix: 'intake/' };
  const miss = (times: number) => services.s3.faults.set({ match, fault: S3_ERRORS.accessDenied, times });
  const isQueued = (id: string | undefined): boolean => id !== undefined;
  miss(2);
  expect((await send(stage, large, false)).jobIds.map(isQueued)).toEqual([true, true, true, true]);
  const always = miss(100);
  expect((await send(stage, large, false)).jobIds.map(isQueued)).toEqual([false, false, false, false]);
  expect(always.met).toBe(8);
});

describe('documents that fail are counted', () => {
  test('jobs that have not ended by the deadline', async () => {
    await using services = await testServices();
    const stage = stageOf(services);
    const { jobIds, failed, seen } = await send(stage, stage.sendings, false);
    expect({ failed, seen }).toEqual({ failed: jobIds.length, seen: [[4, 4]] });
  });

  test('jobs that end dead, and documents that the producer refuses', async () => {
    await using services = await testServices();
    const stage = stageOf(services);
    const [first, second] = stage.sendings as [Sending, Sending];
    const refused = { ...first, document: { ...first.document, id: '' } };
    const { jobIds } = await send(stage, [refused, second], false);
    expect(jobIds).toEqual([undefined, expect.stringMatching(/^j/)]);

    const stored = await Array.fromAsync(stage.bucket.keys(signal));
    for (const key of stored.filter((each) => each.startsWith('intake/'))) await stage.bucket.remove(key);
    const large = { ...second, document: { ...second.document, title: randomBytes(8000).toString('hex') } };
    const gone = await send(stage, [large], false);
    for await (const key of stage.bucket.keys(signal)) if (key.startsWith('intake/')) await stage.bucket.remove(key);
    const failed = await using(await createOperator(stage.settings), (operator) =>
      createProducer(stage.settings).then((opened) =>
        using(opened, async (producer) =>
          using(await startWorker(stage.settings, { host: '127.0.0.1', log: 'silent' }), () =>
            failedOf({
              producer,
              operator,
              jobIds: [...jobIds, ...gone.jobIds].flatMap((id) => id ?? []),
              progress: () => {},
              signal,
              deadlineMs: 30_000,
            }),
          ),
        ),
      ),
    );
    expect(failed).toBe(1);
    await using(await createReader(stage.settings), async (reader) => {
      expect((await reader.list({ tenant: 'globex', corpus: 'pages' })).documents).toHaveLength(1);
    });
  });
});
