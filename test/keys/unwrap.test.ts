// The key that opens a message: the header is validated before any KMS call.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyRef } from '../../src/runtime/key-ref.ts';
import type { DataKey } from '../../src/keys/data-key.ts';
import { unwrapFor, type NamedKey } from '../../src/keys/unwrap.ts';
import { openFixture, type OneRing, type Fixture } from './fixture.ts';

let fixture: Fixture;
let writer: OneRing;
let reader: OneRing;
let key: DataKey;
let former: DataKey;

beforeAll(async () => {
  fixture = await openFixture();
  writer = await fixture.open();
  reader = await fixture.open();
  const ref = fixture.tenant();
  key = await writer.ring.current(ref, 'documents', 1);
  former = await writer.ring.current(keyRef(ref.tenant, fixture.kms.createKey()), 'documents', 1);
  fixture.kms.counts.reset();
});

afterAll(() => fixture[Symbol.asyncDispose]());

const open = (named: Partial<NamedKey>): Promise<DataKey> => {
  const allowed = { tenant: key.context.tenant, readableArns: new Set([key.arn, former.arn]), blocked: new Map() };
  return unwrapFor(reader.ring, allowed)({ arn: key.arn, wrapped: key.wrapped, context: key.context, ...named });
};

const refused: [string, () => Partial<NamedKey>, string][] = [
  ['another tenant', () => ({ context: { ...key.context, tenant: 'another' } }), 'context'],
  ['no tenant', () => ({ context: { period: key.context.period, purpose: 'documents' } }), 'context'],
  ['no context at all', () => ({ context: {} }), 'context'],
  ['one pair more', () => ({ context: { ...key.context, corpus: 'c' } }), 'context'],
  [
    'another pair instead',
    () => ({ context: { tenant: key.context.tenant, purpose: 'documents', Period: 'x' } }),
    'context',
  ],
  ['an invalid period', () => ({ context: { ...key.context, period: '2026-11-23T17:41' } }), 'context'],
  ['an invalid day', () => ({ context: { ...key.context, period: '2026-02-30T17:41Z' } }), 'context'],
  ['the purpose of intake', () => ({ context: { ...key.context, purpose: 'intake' } }), 'context'],
  ['another purpose', () => ({ context: { ...key.context, purpose: 'constructor' } }), 'context'],
  ['a KMS key that the tenant never had', () => ({ arn: fixture.platformKeyArn }), 'foreign-key'],
  ['an alias', () => ({ arn: key.arn.replace(/key\/.*/, 'alias/mine') }), 'foreign-key'],
  ['the id alone', () => ({ arn: key.arn.replace(/.*key\//, '') }), 'foreign-key'],
];

test.each(refused)('a message that names %s is rejected without a KMS call', async (_, named, reason) => {
  await expect(open(named())).rejects.toMatchObject({ code: 'OBJECT_TAMPERED', reason });
  expect(fixture.kms.counts.count()).toBe(0);
});

test('a message’s own key opens it, under the current or former KMS key, for one Decrypt', async () => {
  const bytes = (one: DataKey): string => one.use((plaintext) => Buffer.from(plaintext).toString('hex'));
  expect(bytes(await open({}))).toBe(bytes(key));
  expect(bytes(await open({}))).toBe(bytes(key));
  expect(bytes(await open({ arn: former.arn, wrapped: former.wrapped }))).toBe(bytes(former));
  expect(fixture.kms.counts.all().map(({ operation, count }) => [operation, count])).toEqual([
    ['Decrypt', 1],
    ['Decrypt', 1],
  ]);
  fixture.kms.counts.reset();
});

test('wrapped bytes of another KMS key or period of the tenant do not open, regardless of the header', async () => {
  await expect(open({ wrapped: former.wrapped })).rejects.toMatchObject({ code: 'OBJECT_TAMPERED' });
  const context = { ...key.context, period: '2020-01-01T00:00Z' };
  await expect(open({ context })).rejects.toMatchObject({ code: 'OBJECT_TAMPERED' });
  await expect(open({ wrapped: Buffer.alloc(0) })).rejects.toMatchObject({ code: 'OBJECT_TAMPERED' });
});
