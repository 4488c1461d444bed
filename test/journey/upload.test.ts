// Uploads from end to end: stored, parked, dead, and original files beside their documents.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorker, type RunningWorker } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { findLeaks } from '../producer/leaks.ts';
import { openInstallation, squeezed, textOf, type Installation } from './installation.ts';
import { documentOf, keysUnder } from '../support/documents.ts';

let installation: Installation;
let worker: RunningWorker;

const PDF = readFileSync(fileURLToPath(new URL('../../examples/files/parking.pdf', import.meta.url)));

beforeAll(async () => {
  installation = await openInstallation({ SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 });
  await installation.tenant('acme');
  worker = await startWorker(installation.settings, { host: '127.0.0.1' });
});

afterAll(async () => {
  await worker.stop();
  await installation[Symbol.asyncDispose]();
});

async function upload(filename: string, body: Buffer, more: object = {}): Promise<string> {
  const request = { tenant: 'acme', corpus: 'files', filename, body, ...more };
  return (await installation.producer.enqueueUpload(request)).jobId;
}

const nameOf = (id: string) => ({ tenant: 'acme', corpus: 'files', id });

async function originalOf(id: string): Promise<Buffer> {
  const { body } = await installation.reader.original(nameOf(id));
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const keptFiles = (): Promise<string[]> => keysUnder(installation.store, 'originals/acme/files/');

test("a file is stored with its text, its source, and the caller's metadata in preference to its own", async () => {
  const job = await upload('parking.pdf', PDF, { metadata: { author: 'Somebody else', shelf: 7 } });
  expect(await installation.end(job)).toBe('done');
  expect(await installation.reader.metadata(nameOf('parking.pdf'))).toMatchObject({
    type: 'file',
    title: 'Parking: when a KMS key cannot be used',
    metadata: { author: 'Somebody else', shelf: 7, pages: 3 },
    source: { filename: 'parking.pdf', contentType: 'application/pdf', bytes: PDF.length },
  });
  const text = await textOf(installation.reader, 'acme', 'files', 'parking.pdf');
  expect(text).toContain(squeezed('A tenant may disable its KMS key at any time'));
  await eventually(async () => (await keysUnder(installation.store, 'intake/')).length === 0);
  expect(await keptFiles()).toEqual([]);
  await expect(installation.reader.original(nameOf('parking.pdf'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('metadata keeps integers of any size through the queue, in documents and in files', async () => {
  const big = 12_345_678_901_234_567_890n;
  const document = { id: 'big', metadata: { big, small: 5n }, sections: [{ text: 'x', metadata: { big: -big } }] };
  const { jobId } = await installation.producer.enqueueIndex({ tenant: 'acme', corpus: 'files', document });
  expect(await installation.end(jobId)).toBe('done');
  const { document: head, parts } = await installation.reader.open(nameOf('big'));
  expect(head).toMatchObject({ type: 'structured', metadata: { big, small: 5 } });
  expect(await Array.fromAsync(parts)).toMatchObject([{ metadata: { big: -big } }]);
  expect(await installation.end(await upload('big.txt', Buffer.from('Some words.'), { metadata: { big } }))).toBe(
    'done',
  );
  expect(await installation.reader.metadata(nameOf('big.txt'))).toMatchObject({ metadata: { big } });
});

test('an unreadable file becomes a dead letter at once, with a reason, and its content is kept', async () => {
  const job = await upload('cut.pdf', PDF.subarray(0, 20_000));
  expect(await installation.end(job)).toBe('dead FILE_UNREADABLE');
  expect(await installation.producer.status(job)).toMatchObject({ code: 'FILE_UNREADABLE', reason: 'damaged' });
  expect((await keysUnder(installation.store, 'intake/acme/')).filter((key) => key.includes(job)).length).toBe(1);
  expect((await installation.operator.status()).upload.dead).toBe(1);
});

test('a dead letter has the reason why its file was not read, can be replayed, and holds no word of the file and its name', async () => {
  const words = ['pelican-6120', 'name-of-ibis-3307', 'author-of-lark-9415'];
  const [word, name, author] = words;
  const body = Buffer.concat([PDF.subarray(0, 20_000), Buffer.from(`${word}`)]);
  const job = await upload(`${name}.pdf`, body, { metadata: { author } });
  expect(await installation.end(job)).toBe('dead FILE_UNREADABLE');
  const { letters } = await installation.operator.deadList({ tenant: 'acme' }, { limit: 100 });
  const letter = letters.find(({ jobId }) => jobId === job);
  expect(letter).toMatchObject({ queue: 'upload', kind: 'upload', code: 'FILE_UNREADABLE', reason: 'damaged' });
  expect(letter?.attempts).toBe(1);
  const leaks = await findLeaks(installation.redis, installation.store, words);
  expect(leaks.found).toEqual([]);
  expect(leaks.redisKeys).toBeGreaterThan(0);

  const replayed = await installation.operator.replay({ jobIds: [job] });
  expect(replayed.sent).toBe(1);
  expect([...replayed.deadAgain]).toEqual([['FILE_UNREADABLE', 1]]);
  expect((await keysUnder(installation.store, 'intake/acme/')).filter((key) => key.includes(job)).length).toBe(1);
});

test('no word of a stored original file, nor its name, is in Redis or S3', async () => {
  await installation.operator.putTenant('acme', { keepOriginals: true });
  const words = ['toucan-2284', 'name-of-heron-7702', 'shelf-of-wren-5536'];
  const [word, name, shelf] = words;
  const id = `${name}.txt`;
  expect(await installation.end(await upload(id, Buffer.from(`It says ${word}.`), { metadata: { shelf } }))).toBe(
    'done',
  );
  expect(await textOf(installation.reader, 'acme', 'files', id)).toContain(word);
  const leaks = await findLeaks(installation.redis, installation.store, words);
  expect(leaks.found).toEqual([]);
  expect(leaks.objects).toBeGreaterThan(1);
  expect(await installation.end((await installation.producer.enqueueDelete(nameOf(id))).jobId)).toBe('done');
  await installation.operator.putTenant('acme', { keepOriginals: false });
});

test('uploads are parked before they are fetched while the key is shut, and continue when it is open', async () => {
  // Its data key is in no process's memory.
  const arn = await installation.tenant('globex');
  installation.services.kms.disable(arn);
  const first = await upload('first.txt', Buffer.from('First text.'), { tenant: 'globex' });
  await eventually(async () => (await installation.producer.status(first)).state === 'parked');
  installation.services.s3.requests.reset();
  const second = await upload('second.txt', Buffer.from('Second text.'), { tenant: 'globex' });
  await eventually(async () => (await installation.producer.status(second)).state === 'parked');
  expect(installation.services.s3.requests.count({ method: 'GET', prefix: 'intake/' })).toBe(0);
  installation.services.kms.enable(arn);
  for (const job of [first, second]) expect(await installation.end(job)).toBe('done');
  expect(await textOf(installation.reader, 'globex', 'files', 'second.txt')).toBe(squeezed('Second text.'));
});

test('an original file is returned unchanged, is ciphertext in the bucket, and is deleted with its document', async () => {
  await installation.operator.putTenant('acme', { keepOriginals: true });
  const body = Buffer.from('The original wording of the letter.');
  expect(await installation.end(await upload('letter.txt', body))).toBe('done');
  const [key = ''] = await keptFiles();
  const stored = await installation.store.get(key);
  const bytes: Uint8Array[] = [];
  for await (const chunk of stored!.body) bytes.push(chunk);
  expect(Buffer.concat(bytes).includes('original wording')).toBe(false);
  expect((await originalOf('letter.txt')).equals(body)).toBe(true);

  // A newer revision replaces it, a rejected one does not change it, and a document other than a file deletes it.
  const newer = Buffer.from('The newer wording of the letter.');
  expect(await installation.end(await upload('letter.txt', newer))).toBe('done');
  const refused = await upload('letter.txt', Buffer.from('No.'), { ifExists: 'reject' });
  expect(await installation.end(refused)).toBe('dead DOCUMENT_CONFLICT');
  expect((await originalOf('letter.txt')).equals(newer)).toBe(true);
  const index = { tenant: 'acme', corpus: 'files', document: documentOf('letter.txt', 'An indexed text.') };
  expect(await installation.end((await installation.producer.enqueueIndex(index)).jobId)).toBe('done');
  expect(await keptFiles()).toEqual([]);

  expect(await installation.end(await upload('letter.txt', body))).toBe('done');
  expect((await keptFiles()).length).toBe(1);
  expect(await installation.end((await installation.producer.enqueueDelete(nameOf('letter.txt'))).jobId)).toBe('done');
  expect(await keptFiles()).toEqual([]);

  expect(await installation.end(await upload('letter.txt', body))).toBe('done');
  await installation.operator.putTenant('acme', { keepOriginals: false });
  expect(await installation.end(await upload('letter.txt', newer))).toBe('done');
  expect(await keptFiles()).toEqual([]);
});

test('an original file opened before its key was revoked returns no byte afterwards', async () => {
  const [tenant, id] = ['initech', 'letter.txt'];
  const arn = await installation.tenant(tenant);
  await installation.operator.putTenant(tenant, { keepOriginals: true });
  expect(await installation.end(await upload(id, Buffer.from('The original wording.'), { tenant }))).toBe('done');
  const name = { tenant, corpus: 'files', id };
  const opened = await installation.reader.original(name);
  await installation.operator.block(tenant, arn, 'a test');
  await eventually(() =>
    installation.reader.metadata(name).then(
      () => false,
      () => true,
    ),
  );
  const bytes = opened.body[Symbol.asyncIterator]();
  await expect(bytes.next()).rejects.toMatchObject({ code: 'KEY_BLOCKED', keyArn: arn });
  await installation.operator.unblock(tenant, arn);
});
