// Rejected original files: swapped, copied, truncated, modified or rolled back.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KmsServer } from '@sealdex/local-aws';
import type { Code } from '../../src/runtime/errors.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { codeOf, ended, objectAt, openScene, refusalOf, type Scene } from '../producer/fixture.ts';
import { copy, keyOf, overwrite, type Place } from './fixture.ts';

const PLACE = { tenant: 'acme', corpus: 'docs' };

let scene: Scene;
let kms: KmsServer;
let reader: Reader;
let othersArn: string;

beforeAll(async () => {
  scene = await openScene();
  kms = scene.services.kms;
  await scene.tenant('acme');
  othersArn = await scene.tenant('other');
  for (const tenant of ['acme', 'other']) await scene.operator.putTenant(tenant, { keepOriginals: true });
  reader = await scene.reader();
  await scene.work();
});
afterAll(() => scene[Symbol.asyncDispose]());

const originalOf = (place: Place): string => keyOf(place).replace(/^documents/, 'originals');

const textOf = (id: string, chars: number): Buffer => Buffer.from(`${id} says so. `.repeat(Math.ceil(chars / 10)));

/** Uploads a separate file for a test and returns its document's place. */
async function uploaded(id: string, chars = 100, place = PLACE): Promise<Place> {
  const producer = await scene.producer();
  const file = { ...place, documentId: id, filename: `${id}.txt`, body: textOf(id, chars) };
  await ended(producer, (await producer.enqueueUpload(file)).jobId);
  return { ...place, id };
}

/** Opens the original and reads it to its end. */
async function read(place: Place & { minRevision?: number }): Promise<Buffer> {
  await using kept = await reader.original(place);
  return Buffer.concat(await Array.fromAsync(kept.body));
}

/** Puts an original in place of another one, with the other's metadata: S3 shows no difference. */
async function plant(bytesOf: Place, at: Place): Promise<void> {
  const { bytes } = await objectAt(scene.store, originalOf(bytesOf));
  const { metadata } = await objectAt(scene.store, keyOf(at));
  await overwrite(scene, originalOf(at), { bytes, metadata });
}

test('an original swapped with that of another document of the tenant is rejected, regardless of its declared revision', async () => {
  const [mine, theirs] = [await uploaded('mine'), await uploaded('theirs')];
  const own = await objectAt(scene.store, originalOf(mine));
  await copy(scene, originalOf(theirs), originalOf(mine));
  expect(await codeOf(() => read(mine))).toBe('NOT_FOUND');
  await plant(theirs, mine);
  expect(await codeOf(() => read(mine))).toBe('OBJECT_MISMATCH');
  await overwrite(scene, originalOf(mine), own);
  expect(await read(mine)).toEqual(textOf('mine', 100));
});

test('an original copied with its document to another id or corpus is OBJECT_MISMATCH', async () => {
  const place = await uploaded('copied');
  for (const elsewhere of [
    { ...place, corpus: 'elsewhere' },
    { ...place, id: 'another' },
  ]) {
    await copy(scene, keyOf(place), keyOf(elsewhere));
    await copy(scene, originalOf(place), originalOf(elsewhere));
    expect(await codeOf(() => read(elsewhere))).toBe('OBJECT_MISMATCH');
  }
});

test("an original copied from another tenant is OBJECT_TAMPERED, without a call to that tenant's key", async () => {
  const theirs = await uploaded('secret', 100, { tenant: 'other', corpus: 'docs' });
  const mine = await uploaded('secret');
  await plant(theirs, mine);
  kms.counts.reset();
  expect(await refusalOf(() => read(mine))).toMatchObject({ code: 'OBJECT_TAMPERED', reason: 'context' });
  expect(kms.counts.count({ tenant: 'other' }) + kms.counts.count({ key: othersArn })).toBe(0);
});

test('an original with one bit changed in any byte, from the first to the last (every seventh), is OBJECT_TAMPERED', async () => {
  const place = await uploaded('flipped', 200);
  const { bytes, metadata } = await objectAt(scene.store, originalOf(place));
  const places = [...Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) => 7 * index), bytes.length - 1];
  const codes: Code[] = [];
  for (const at of places) {
    const flipped = Buffer.from(bytes);
    flipped[at]! ^= 1 << (at % 8);
    await overwrite(scene, originalOf(place), { bytes: flipped, metadata });
    codes.push(await codeOf(() => read(place)));
  }
  expect(codes).toEqual(places.map(() => 'OBJECT_TAMPERED'));
  await overwrite(scene, originalOf(place), { bytes, metadata });
  expect(await read(place)).toEqual(textOf('flipped', 200));
});

test('an original truncated anywhere, or with more appended, is OBJECT_TAMPERED', async () => {
  const place = await uploaded('cut', 200_000);
  const { bytes, metadata } = await objectAt(scene.store, originalOf(place));
  const lengths = [0, 1, 100, 700, 65_536, 131_700, bytes.length - 40, bytes.length - 1];
  const cuts = [...lengths.map((length) => bytes.subarray(0, length)), Buffer.concat([bytes, Buffer.from('x')])];
  for (const cut of cuts) {
    await overwrite(scene, originalOf(place), { bytes: cut, metadata });
    expect(await codeOf(() => read(place))).toBe('OBJECT_TAMPERED');
  }
});

test('an original of an older revision is rejected for the newer document, and with it for a caller with a minimum revision', async () => {
  const place = await uploaded('rolled');
  const [document, original] = [
    await objectAt(scene.store, keyOf(place)),
    await objectAt(scene.store, originalOf(place)),
  ];
  await uploaded('rolled', 300);
  const { revision } = await reader.metadata(place);
  expect(await read({ ...place, minRevision: revision })).toEqual(textOf('rolled', 300));
  await overwrite(scene, originalOf(place), original);
  expect(await codeOf(() => read(place))).toBe('NOT_FOUND');
  await overwrite(scene, originalOf(place), {
    bytes: original.bytes,
    metadata: { ...original.metadata, revision: String(revision) },
  });
  expect(await codeOf(() => read(place))).toBe('OBJECT_MISMATCH');
  await overwrite(scene, originalOf(place), original);
  await overwrite(scene, keyOf(place), document);
  expect(await read(place)).toEqual(textOf('rolled', 100));
  expect(await codeOf(() => read({ ...place, minRevision: revision }))).toBe('OBJECT_MISMATCH');
});
