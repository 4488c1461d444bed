// Rejected reads: objects that were copied, modified, truncated or foreign, and unusable keys.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { KMS_ERRORS, type KmsServer } from '@sealdex/local-aws';
import { encryptMessage } from '../../src/envelope/message.ts';
import type { Code } from '../../src/runtime/errors.ts';
import type { KeyContext } from '../../src/keys/data-key.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { ListRequest, Reader } from '../../src/reader/reader.ts';
import { codeOf, documentOf, objectAt, openScene, refusalOf, type Scene } from '../producer/fixture.ts';
import { copy, keyOf, overwrite, storeDocuments, type Place } from './fixture.ts';
import { realDeadlines } from '../support/deadlines.ts';

const PLACE = { tenant: 'acme', corpus: 'docs' };

let scene: Scene;
let kms: KmsServer;
let reader: Reader;
let arns: Record<'acme' | 'other', string>;

beforeAll(async () => {
  scene = await openScene();
  kms = scene.services.kms;
  arns = { acme: await scene.tenant('acme'), other: await scene.tenant('other') };
  reader = await scene.reader();
});
beforeEach(() => kms.faults.clear());
afterAll(() => scene[Symbol.asyncDispose]());

/** Opens a document and reads it to its end. */
async function readAllOf(from: Reader, place: Place): Promise<number> {
  const { parts } = await from.open(place);
  let items = 0;
  for await (const _ of parts) items += 1;
  return items;
}

/** Stores a separate document for a test and returns its place. */
async function stored(id: string, chars = 100, place = PLACE): Promise<Place> {
  await storeDocuments(scene, place, [documentOf(id, chars)]);
  return { ...place, id };
}

describe('a request', () => {
  it('with an unknown field is rejected, so that a typo cannot switch off a check', async () => {
    const place = await stored('typo');
    const { revision } = await reader.metadata(place);
    const misspelled = { ...place, minRevison: revision + 1 };
    const error = { code: 'DOCUMENT_INVALID', field: 'minRevison', message: expect.stringContaining('minRevision') };
    await expect(reader.metadata(misspelled)).rejects.toMatchObject(error);
    await expect(reader.open(misspelled)).rejects.toMatchObject(error);
    await expect(reader.original(misspelled)).rejects.toMatchObject(error);
    const list = reader.list({ ...PLACE, limt: 5 } as ListRequest);
    await expect(list).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'limt' });
  });

  it('without fields is rejected', async () => {
    for (const request of [undefined, null, 'acme', [PLACE]] as unknown as Place[]) {
      await expect(reader.metadata(request)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'request' });
      await expect(reader.list(request)).rejects.toMatchObject({ code: 'DOCUMENT_INVALID', field: 'request' });
    }
  });
});

describe('an object with another document than its name', () => {
  it('copied from another id, from another corpus, or under another revision, is OBJECT_MISMATCH', async () => {
    const [mine, theirs] = [await stored('mine'), await stored('theirs')];
    await copy(scene, keyOf(theirs), keyOf(mine));
    const elsewhere = { ...theirs, corpus: 'elsewhere' };
    await copy(scene, keyOf(theirs), keyOf(elsewhere));
    const aged = await stored('aged');
    const { metadata } = await objectAt(scene.store, keyOf(aged));
    await overwrite(scene, keyOf(aged), {
      metadata: { ...metadata, revision: String(Number(metadata['revision']) + 1) },
    });
    const bare = await stored('bare');
    await overwrite(scene, keyOf(bare), { metadata: {} });
    for (const place of [mine, elsewhere, aged, bare]) {
      expect(await codeOf(() => reader.metadata(place))).toBe('OBJECT_MISMATCH');
      expect(await codeOf(() => reader.open(place))).toBe('OBJECT_MISMATCH');
    }
    expect(await readAllOf(reader, theirs)).toBeGreaterThan(0);
  });

  it("under an older revision than the caller's minimum is OBJECT_MISMATCH, deleted or not", async () => {
    const place = await stored('rolled');
    const { revision } = await reader.metadata(place);
    expect((await reader.metadata({ ...place, minRevision: revision })).revision).toBe(revision);
    const newer = { ...place, minRevision: revision + 1 };
    for (const ask of [() => reader.metadata(newer), () => reader.open(newer), () => reader.original(newer)])
      expect(await refusalOf(ask)).toMatchObject({
        code: 'OBJECT_MISMATCH',
        message: expect.stringContaining('whether the bucket was restored') as string,
      });
    const original = await refusalOf(() => reader.original(place));
    expect(original).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('No original') as string });
    await overwrite(scene, keyOf(place), {
      bytes: Buffer.alloc(0),
      metadata: { revision: String(revision), deleted: '1' },
    });
    expect(await codeOf(() => reader.metadata(newer))).toBe('OBJECT_MISMATCH');
    expect(await codeOf(() => reader.metadata({ ...place, minRevision: revision }))).toBe('NOT_FOUND');
    await expect(reader.metadata({ ...place, minRevision: 0.5 })).rejects.toMatchObject({
      code: 'DOCUMENT_INVALID',
      field: 'minRevision',
    });
  });

  it("from another tenant is rejected without a KMS call for that tenant's key, and reveals nothing of it", async () => {
    const theirs = await stored('secret', 100, { tenant: 'other', corpus: 'docs' });
    const mine = { ...PLACE, id: 'secret' };
    await copy(scene, keyOf(theirs), keyOf(mine));
    kms.counts.reset();
    const error = await refusalOf(() => reader.open(mine));
    expect(error).toMatchObject({ code: 'OBJECT_TAMPERED', reason: 'context' });
    expect(await codeOf(() => reader.metadata(mine))).toBe('OBJECT_TAMPERED');
    expect(kms.counts.count({ tenant: 'other' }) + kms.counts.count({ key: arns.other })).toBe(0);
  });
});

describe('a modified object', () => {
  it('with one bit changed in any byte, from the first to the last (every seventh), is OBJECT_TAMPERED', async () => {
    const place = await stored('flipped', 200);
    const { bytes, metadata } = await objectAt(scene.store, keyOf(place));
    const codes: Code[] = [];
    const places = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, index) => 7 * index);
    for (const at of [...places, bytes.length - 1]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      await overwrite(scene, keyOf(place), { bytes: flipped, metadata });
      codes.push(await codeOf(() => readAllOf(reader, place)));
    }
    expect(codes).toEqual(Array.from([...places, -1], () => 'OBJECT_TAMPERED'));
    await overwrite(scene, keyOf(place), { bytes, metadata });
    expect(await readAllOf(reader, place)).toBeGreaterThan(0);
  });

  it('far behind the head is rejected at that position, and metadata can still be read', async () => {
    const place = await stored('late', 400_000);
    const { bytes, metadata } = await objectAt(scene.store, keyOf(place));
    for (const at of [bytes.length >> 1, bytes.length - 1]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1;
      await overwrite(scene, keyOf(place), { bytes: flipped, metadata });
      expect(await reader.metadata(place)).toMatchObject({ id: 'late' });
      expect(await codeOf(() => readAllOf(reader, place))).toBe('OBJECT_TAMPERED');
    }
  });

  it('truncated anywhere, or with bytes appended, is OBJECT_TAMPERED', async () => {
    const place = await stored('cut', 200_000);
    const { bytes, metadata } = await objectAt(scene.store, keyOf(place));
    const lengths = [0, 1, 100, 700, 65_536, 131_700, bytes.length - 40, bytes.length - 1];
    for (const cut of [
      ...lengths.map((length) => bytes.subarray(0, length)),
      Buffer.concat([bytes, Buffer.from('x')]),
    ]) {
      await overwrite(scene, keyOf(place), { bytes: cut, metadata });
      expect(await codeOf(() => readAllOf(reader, place))).toBe('OBJECT_TAMPERED');
    }
  });

  it('without the form of a message is rejected', async () => {
    const place = await stored('garbage');
    const { metadata } = await objectAt(scene.store, keyOf(place));
    for (const text of ['', 'hello', '{"v":1}', '\u0002'.repeat(500), '\0'.repeat(10_000)]) {
      await overwrite(scene, keyOf(place), { bytes: Buffer.from(text), metadata });
      expect(await codeOf(() => reader.open(place))).toBe('OBJECT_TAMPERED');
    }
  });
});

describe('a message by a writer with access to the KMS key', () => {
  const head = {
    v: 1,
    ...PLACE,
    id: 'forged',
    revision: 5,
    type: 'core',
    metadata: {},
    parts: 1,
    tables: 0,
    images: 0,
  };
  const place = { ...PLACE, id: 'forged' };

  /** Encrypts validly, under any KMS key and for any tenant, and puts the result in place of the document. */
  async function forge(plaintext: string, arn: string, tenant = 'acme', purpose: KeyContext['purpose'] = 'documents') {
    const client = createKms(scene.config, createMetrics(), noAudit, 'patient');
    const shared = createSharedKeys(scene.redis, 'forger', systemClock);
    const ring = new KeyRing({ clock: systemClock, kms: client, shared, use: 'patient' });
    const key = await ring.current(keyRef(tenant, arn), purpose, plaintext.length);
    const bytes = encryptMessage(key, Buffer.from(plaintext));
    await overwrite(scene, keyOf(place), {
      bytes,
      metadata: { revision: '5', 'job-id': `j${'0'.repeat(32)}`, v: '1' },
    });
    ring.close();
    client.close();
  }

  it('is read if it is a record', async () => {
    await forge(`${JSON.stringify(head)}\n${JSON.stringify({ text: 'x', metadata: {} })}\n`, arns.acme);
    expect(await readAllOf(reader, place)).toBe(1);
  });

  it('is OBJECT_UNREADABLE if it is no record, or is too short or too long', async () => {
    const part = JSON.stringify({ text: 'x', metadata: {} });
    const line = JSON.stringify(head);
    for (const text of [
      '',
      '\n',
      'hello\n',
      '{}\n',
      line,
      `${line}\n`,
      `${line}\n${part}\n${part}\n`,
      `${line}\n[]\n`,
    ]) {
      await forge(text, arns.acme);
      expect(await codeOf(() => readAllOf(reader, place))).toBe('OBJECT_UNREADABLE');
    }
  });

  it('under a former KMS key of the tenant is read, and rejected once that key is removed from the history', async () => {
    const text = `${JSON.stringify(head)}\n${JSON.stringify({ text: 'x', metadata: {} })}\n`;
    const former = kms.createKey();
    const file = await scene.operator.tenant('acme');
    const change = async (formerKeyArns: string[]): Promise<Reader> => {
      await scene.store.put('tenants/acme.json', Buffer.from(JSON.stringify({ ...file, formerKeyArns })), {});
      return scene.reader();
    };
    await forge(text, former);
    expect(await readAllOf(await change([former]), place)).toBe(1);
    expect(await codeOf(async () => (await change([])).open(place))).toBe('OBJECT_TAMPERED');
  });

  it('under a KMS key the tenant never had, or for another purpose, is rejected without a KMS call', async () => {
    const text = `${JSON.stringify(head)}\n${JSON.stringify({ text: 'x', metadata: {} })}\n`;
    for (const [arn, tenant, purpose, reason] of [
      [arns.other, 'acme', 'documents', 'foreign-key'],
      [scene.config.platformKeyArn, 'acme', 'documents', 'foreign-key'],
      [arns.acme, 'other', 'documents', 'context'],
      [arns.acme, 'acme', 'intake', 'context'],
      // As content waits while the tenant's key is unusable.
      [scene.config.platformKeyArn, 'acme', 'intake', 'context'],
    ] as const) {
      await forge(text, arn, tenant, purpose);
      kms.counts.reset();
      expect(await refusalOf(() => reader.open(place))).toMatchObject({ code: 'OBJECT_TAMPERED', reason });
      expect(kms.counts.all()).toEqual([]);
    }
  });
});

describe('an unusable KMS key', () => {
  it.each<readonly [string, Code, (arn: string) => void]>([
    ['is disabled', 'KEY_DISABLED', (arn) => kms.disable(arn)],
    ['is pending deletion', 'KEY_PENDING_DELETION', (arn) => kms.scheduleDeletion(arn)],
    ['denies access', 'KEY_DENIED', (key) => kms.faults.set({ match: { key }, fault: KMS_ERRORS.accessDenied })],
    ['is gone', 'KEY_NOT_FOUND', (arn) => kms.forget(arn)],
    ['is unreachable', 'KEY_UNAVAILABLE', (arn) => kms.setState(arn, 'Unavailable')],
    ['is throttled', 'KMS_THROTTLED', (key) => kms.faults.set({ match: { key }, fault: KMS_ERRORS.throttled })],
    ['does not respond', 'KMS_FAILED', (key) => kms.faults.set({ match: { key }, fault: { kind: 'hang' } })],
  ])('(%s) is %s for a reader without the data key', async (what, code, change) => {
    using _real = realDeadlines({ promptMs: code === 'KMS_FAILED' ? 5000 : 40_000 });
    const tenant = what.replaceAll(' ', '-');
    const arn = await scene.tenant(tenant);
    const place = await stored('doc', 100, { tenant, corpus: 'docs' });
    const fresh = await scene.reader();
    change(arn);
    expect(await codeOf(() => fresh.metadata(place))).toBe(code);
    expect(await codeOf(() => fresh.open(place))).toBe(code);
    // Other documents stay readable.
    expect(await fresh.metadata(await stored(`beside-${tenant}`))).toMatchObject({ id: `beside-${tenant}` });
  });
});
