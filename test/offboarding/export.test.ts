// An export: the official client alone opens it, it continues after an interruption, and overwrites no foreign file.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { decryptOfficially } from '../../src/demo/official.ts';
import { S3_ERRORS } from '@sealdex/local-aws';
import { encryptMessage } from '../../src/envelope/message.ts';
import { objectName } from '../../src/runtime/names.ts';
import { temporaryFolder } from '../cli/temporary-folder.ts';
import { documentOf } from '../support/documents.ts';
import { eventually } from '../support/eventually.ts';
import { LEAVER, openOffboardingFixture, STAYER, type OffboardingFixture } from './fixture.ts';

const opened = new AsyncDisposableStack();
let fixture: OffboardingFixture;
let keyArn: string;
let dir: string;

beforeAll(async () => {
  fixture = opened.use(await openOffboardingFixture());
  const { installation } = fixture;
  keyArn = await installation.tenant(LEAVER);
  await installation.tenant(STAYER);
  await installation.operator.putTenant(LEAVER, { keepOriginals: true });
  opened.use(await startWorker(installation.settings, { host: '127.0.0.1' }));
  await fixture.fill(30);
  const file = { tenant: LEAVER, corpus: 'files', filename: 'a.txt', contentType: 'text/plain' };
  const body = Buffer.from('All of the file.\n'.repeat(20_000));
  await installation.end((await installation.producer.enqueueUpload({ ...file, body })).jobId);
  const gone = await installation.producer.enqueueDelete({ tenant: LEAVER, corpus: 'docs', id: 'document-4' });
  await installation.end(gone.jobId);
  await installation.store.put(`documents/${LEAVER}/../../strange`, Buffer.from('Not of ours.'), {});
});
afterAll(() => opened.disposeAsync());
beforeEach(() => {
  dir = join(opened.use(temporaryFolder()).path, 'export');
});

interface Line {
  readonly key: string;
  readonly file?: string;
  readonly bytes: number;
  readonly sha256?: string;
  readonly revision: number;
  readonly deleted?: true;
  readonly kmsKeyArn?: string;
}

const manifest = (): Line[] =>
  readFileSync(join(dir, 'manifest.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const official = async (file: string): Promise<string> => {
  const { endpoint } = fixture.installation.services.kms;
  const region = 'us-west-2';
  const { plaintext, context } = (await decryptOfficially(readFileSync(join(dir, file)), keyArn, {
    endpoint,
    region,
  }))!;
  expect(context).toMatchObject({ tenant: LEAVER, purpose: 'documents' });
  return plaintext.toString('utf8');
};

test('a tenant with a shut gate is exported, and the official client opens all of it with the key in the note', async () => {
  await fixture.installation.operator.block(LEAVER, keyArn, 'a test');
  const exported = await fixture.installation.operator.exportTenant(LEAVER, dir);
  await fixture.installation.operator.unblock(LEAVER, keyArn);
  expect(exported).toMatchObject({
    documents: 31,
    originals: 1,
    deletions: 1,
    kept: 0,
    kmsKeyArns: [keyArn],
    unknownKeyFiles: 1,
  });
  const lines = manifest();
  const underTenantKey = lines.filter(({ kmsKeyArn }) => kmsKeyArn !== undefined);
  expect(underTenantKey).toHaveLength(31);
  for (const { key, file = '', kmsKeyArn, bytes, sha256 } of underTenantKey) {
    expect({ file, kmsKeyArn }).toEqual({ file: key, kmsKeyArn: keyArn });
    const stored = readFileSync(join(dir, file));
    expect([stored.length, createHash('sha256').update(stored).digest('hex')]).toEqual([bytes, sha256]);
    const [head = ''] = (await official(file)).split('\n');
    expect(key.endsWith(objectName((JSON.parse(head) as { id: string }).id))).toBe(true);
  }
  const original = lines.find(({ key }) => key.startsWith('originals/'))!;
  expect(await official(original.file!)).toContain(`\n${'All of the file.\n'.repeat(20_000)}`);
  const tombstone = lines.find(({ deleted }) => deleted)!;
  expect(tombstone).toMatchObject({ key: `documents/${LEAVER}/docs/${objectName('document-4')}`, bytes: 0 });
  expect(tombstone.revision).toBeGreaterThan(1e15);
  expect(existsSync(join(dir, tombstone.key))).toBe(false);
  const note = readFileSync(join(dir, 'README.txt'), 'utf8');
  expect(note.trimEnd().split('\n')).toHaveLength(10);
  expect(note).not.toContain('NOT in it');
  for (const words of [keyArn, `tenant=${LEAVER}`, 'require-encrypt-require-decrypt', 'aws-encryption-cli --decrypt'])
    expect(note).toContain(words);
});

test('foreign object names stay inside the folder', async () => {
  await fixture.installation.operator.exportTenant(LEAVER, dir);
  const strange = manifest().find(({ key }) => key.endsWith('strange'));
  expect(strange?.file).toMatch(/^other\/[0-9a-f]{64}$/);
  expect(readFileSync(join(dir, strange!.file!), 'utf8')).toBe('Not of ours.');
  expect(readdirSync(join(dir, '..'))).toEqual(['export']);
});

test('a key named in a foreign object gets into no command: it is counted', async () => {
  const { store, operator } = fixture.installation;
  const messageUnder = (arn: string): Buffer =>
    encryptMessage(
      { arn, wrapped: Buffer.alloc(184), context: {}, use: (fn) => fn(Buffer.alloc(32)) },
      Buffer.alloc(1),
    );
  const foreign = 'arn:aws:kms:us-west-2:999999999999:key/0000';
  const evil = `${keyArn}'; touch pwned; echo '\n\u001b[31m`;
  const keys = [foreign, evil].map((arn) => `documents/${LEAVER}/docs/${objectName(arn)}`);
  await store.put(keys[0]!, messageUnder(foreign), {});
  await store.put(keys[1]!, messageUnder(evil), {});
  const exported = await operator.exportTenant(LEAVER, dir);
  for (const key of keys) await store.remove(key);
  expect(exported).toMatchObject({ kmsKeyArns: [keyArn], unknownKeyFiles: 3 });
  const note = readFileSync(join(dir, 'README.txt'), 'utf8');
  expect(note).toContain('3 files are invalid or encrypted under a key the tenant never used.');
  expect(note.trimEnd().split('\n')).toHaveLength(10);
  expect(note).not.toContain('pwned');
  expect(note).not.toContain('999999999999');
  const lines = keys.map((key) => manifest().find((line) => line.key === key));
  expect(lines.map((line) => line?.kmsKeyArn)).toEqual([foreign, undefined]);
});

test('an interrupted export continues with the missing files', async () => {
  const { operator, services } = fixture.installation;
  const prefix = `documents/${LEAVER}/more/`;
  const fault = services.s3.faults.set({ match: { method: 'GET', prefix }, fault: S3_ERRORS.internal });
  await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  fault.clear();
  expect(existsSync(join(dir, 'manifest.ndjson'))).toBe(false);
  const second = await operator.exportTenant(LEAVER, dir);
  expect(second.kept).toBeGreaterThan(0);
  expect(second.kept + second.fetched).toBe(33);
  expect(await operator.exportTenant(LEAVER, dir)).toMatchObject({ kept: 33, fetched: 0, documents: 31, deletions: 1 });
  expect(readdirSync(dir).toSorted()).toEqual(
    ['.sealdex-export.json', 'README.txt', 'documents', 'manifest.ndjson', 'originals', 'other'].toSorted(),
  );
});

test('an export that fails releases its folder only once no file is being written', async () => {
  const { operator, services } = fixture.installation;
  const prefix = `documents/${LEAVER}/more/`;
  const hang = services.s3.faults.set({ match: { method: 'GET', prefix }, fault: { kind: 'hang' }, times: 3 });
  const fault = services.s3.faults.set({ match: { method: 'GET', prefix }, fault: S3_ERRORS.internal });
  await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  fault.clear();
  expect(hang.met).toBe(3);
  const files = (): string[] => readdirSync(dir, { recursive: true, encoding: 'utf8' });
  const before = files();
  // A waiting job would be processed now.
  hang.clear();
  await operator.exportTenant(LEAVER, `${dir}-other`);
  expect(files()).toEqual(before);
});

test('damaged, deleted, truncated or changed files are fetched again, and deleted documents are removed', async () => {
  const { installation } = fixture;
  const { operator, producer } = installation;
  await operator.exportTenant(LEAVER, dir);
  const files = manifest().flatMap(({ file }) => (file?.includes('/more/') ? [join(dir, file)] : []));
  const before = readFileSync(files[0]!);
  const damaged = Buffer.from(before);
  damaged[100]! ^= 1;
  writeFileSync(files[0]!, damaged);
  rmSync(files[1]!);
  writeFileSync(files[2]!, readFileSync(files[2]!).subarray(0, -1));
  const change = { tenant: LEAVER, corpus: 'docs', document: documentOf('document-6', 'Changed.') };
  expect(await installation.end((await producer.enqueueIndex(change)).jobId)).toBe('done');
  expect(
    await installation.end((await producer.enqueueDelete({ tenant: LEAVER, corpus: 'docs', id: 'document-8' })).jobId),
  ).toBe('done');
  expect(await operator.exportTenant(LEAVER, dir)).toMatchObject({ fetched: 5, kept: 28, deletions: 2 });
  expect(readFileSync(files[0]!)).toEqual(before);
  expect(await official(`documents/${LEAVER}/docs/${objectName('document-6')}`)).toContain('Changed.');
  expect(existsSync(join(dir, `documents/${LEAVER}/docs/${objectName('document-8')}`))).toBe(false);
});

test('one run at a time writes into a folder; the files of a killed one are taken over', async () => {
  const { operator } = fixture.installation;
  let second: Promise<unknown> | undefined;
  const onProgress = (): void => {
    second ??= operator.exportTenant(LEAVER, dir).catch((error: unknown) => error);
  };
  await operator.exportTenant(LEAVER, dir, { onProgress });
  expect(await second).toMatchObject({ field: 'dir', message: expect.stringContaining('Another export is writing') });
  expect(new Set(manifest().map(({ key }) => key)).size).toBe(33);
  const lock = join(dir, '.sealdex-export.lock');
  expect(existsSync(lock)).toBe(false);
  const by = (pid: number | undefined, host = hostname()): void =>
    writeFileSync(lock, JSON.stringify({ pid, host, run: 'another' }));
  by(process.ppid);
  await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ field: 'dir' });
  by(1, 'another-machine');
  await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ field: 'dir' });
  for (const dead of [spawnSync(process.execPath, ['--version']).pid, process.pid]) {
    by(dead);
    expect(await operator.exportTenant(LEAVER, dir)).toMatchObject({ kept: 33 });
    expect(existsSync(lock)).toBe(false);
  }
});

test('an incomplete manifest is ignored: the next run completes it', async () => {
  const { operator } = fixture.installation;
  let isCut = false;
  const onProgress = (): void => {
    if (isCut) return;
    isCut = true;
    writeFileSync(join(dir, '.manifest.part'), '');
  };
  await expect(operator.exportTenant(LEAVER, dir, { onProgress })).rejects.toMatchObject({ field: 'dir' });
  expect(existsSync(join(dir, 'manifest.ndjson'))).toBe(false);
  await operator.exportTenant(LEAVER, dir);
  expect(manifest()).toHaveLength(33);
});

test('a link in the folder is not followed: one to a folder is rejected, one in place of a file is replaced', async () => {
  const { operator } = fixture.installation;
  const outside = join(dir, '..', 'outside');
  const victim = join(outside, 'victim.txt');
  mkdirSync(outside);
  writeFileSync(victim, 'Not of the export.');
  await operator.exportTenant(LEAVER, dir);
  const { file = '' } = manifest().find((line) => line.file?.includes('/docs/')) ?? {};
  for (const name of ['documents', `documents/${LEAVER}`, `documents/${LEAVER}/docs`, 'originals', 'other']) {
    const kept = join(dir, '..', 'kept');
    renameSync(join(dir, name), kept);
    symlinkSync(outside, join(dir, name));
    await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ field: 'dir' });
    rmSync(join(dir, name));
    renameSync(kept, join(dir, name));
  }
  for (const name of ['README.txt', '.manifest.part', '.manifest.known']) {
    rmSync(join(dir, name), { force: true });
    symlinkSync(victim, join(dir, name));
    await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ field: 'dir' });
    rmSync(join(dir, name));
  }
  const before = readFileSync(join(dir, file));
  writeFileSync(join(outside, 'copy'), before);
  rmSync(join(dir, file));
  symlinkSync(join(outside, 'copy'), join(dir, file));
  symlinkSync(victim, join(dir, `${file}.part`));
  expect(await operator.exportTenant(LEAVER, dir)).toMatchObject({ fetched: 1 });
  expect(lstatSync(join(dir, file)).isFile()).toBe(true);
  expect(readFileSync(join(dir, file))).toEqual(before);
  expect(readFileSync(victim, 'utf8')).toBe('Not of the export.');
  expect(readdirSync(outside).toSorted()).toEqual(['copy', 'victim.txt']);
});

test('one of two parallel exports into one empty folder succeeds', async () => {
  const { operator } = fixture.installation;
  const ends = await Promise.allSettled([LEAVER, STAYER].map((tenant) => operator.exportTenant(tenant, dir)));
  const done = ends.find((end) => end.status === 'fulfilled');
  expect(ends.find((end) => end.status === 'rejected')?.reason).toMatchObject({ field: 'dir' });
  expect(JSON.parse(readFileSync(join(dir, '.sealdex-export.json'), 'utf8'))).toEqual({
    v: 1,
    tenant: done?.value.tenant,
  });
  expect(manifest().every(({ key }) => key.split('/')[1] === done?.value.tenant)).toBe(true);
});

test('a folder with other files, or of another tenant, is not changed', async () => {
  const { operator } = fixture.installation;
  mkdirSync(dir);
  writeFileSync(join(dir, 'mine.txt'), 'Mine.');
  await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'dir' });
  expect(readdirSync(dir)).toEqual(['mine.txt']);
  rmSync(join(dir, 'mine.txt'));
  await operator.exportTenant(STAYER, dir);
  await expect(operator.exportTenant(LEAVER, dir)).rejects.toMatchObject({ field: 'dir' });
  await expect(operator.exportTenant('nobody', join(dir, 'x'))).rejects.toMatchObject({ code: 'TENANT_UNKNOWN' });
});

test('content not yet stored is counted, and reported as missing', async () => {
  const { installation } = fixture;
  const { operator, producer, services } = installation;
  await installation.tenant('waiting');
  const send = async (id: string, more: object = {}): Promise<string> =>
    (await producer.enqueueIndex({ tenant: 'waiting', corpus: 'docs', document: documentOf(id, 'Text.'), ...more }))
      .jobId;
  expect(await installation.end(await send('a'))).toBe('done');
  expect(await installation.end(await send('a', { ifExists: 'reject' }))).toBe('dead DOCUMENT_CONFLICT');
  // A page of a re-encryption is a job too, for no document.
  await operator.setKey('waiting', services.kms.createKey());
  await eventually(async () => (await operator.reencryption('waiting')).jobId);
  await operator.pauseTenant('waiting', 'a test');
  await send('b', { document: documentOf('b', 'x'.repeat(20_000)) });
  await send('c');
  const { waiting, documents } = await operator.exportTenant('waiting', dir);
  await operator.resumeTenant('waiting');
  expect({ waiting, documents }).toEqual({ waiting: { jobs: 2, letters: 1, intake: 1 }, documents: 1 });
  const note = readFileSync(join(dir, 'README.txt'), 'utf8');
  expect(note).toContain('Not exported (still in the queue): 2 jobs, 1 dead letter, 1 object in intake.');
  expect(note.trimEnd().split('\n')).toHaveLength(10);
});

test('content under the platform key is reported as such', async () => {
  const { installation } = fixture;
  const { operator, producer, settings } = installation;
  await operator.putTenant('keyless', { plan: 'free' });
  const queued = await producer.enqueueIndex({ tenant: 'keyless', corpus: 'docs', document: documentOf('a', 'A.') });
  expect(await installation.end(queued.jobId)).toBe('done');
  await operator.exportTenant('keyless', dir);
  const note = readFileSync(join(dir, 'README.txt'), 'utf8');
  expect(note).toContain("No file is encrypted under the tenant's own KMS key.");
  expect(note).toContain(`Files under ${String(settings.SEALDEX_PLATFORM_KEY_ARN)} use the operator's platform key`);
});
