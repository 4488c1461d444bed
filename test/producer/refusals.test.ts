// Invalid input at enqueue: an error that names the field, and no side effect.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IndexRequest, Producer } from '../../src/producer/producer.ts';
import { documentOf, openScene, refusalOf, type Scene } from './fixture.ts';

let scene: Scene;
let producer: Producer;

beforeAll(async () => {
  scene = await openScene();
  await scene.tenant('acme');
  producer = await scene.producer({ SEALDEX_PART_CHARS: 1000 });
});
afterAll(() => scene[Symbol.asyncDispose]());

const nested = (levels: number): object => {
  let value: object = {};
  for (let level = 1; level < levels; level++) value = { a: value };
  return value;
};

const sectionsNested = (levels: number): object => {
  let section: object = { text: 'x' };
  for (let level = 1; level < levels; level++) section = { sections: [section] };
  return section;
};

const thrower = (): never => {
  throw new Error('from a getter, with the secret word');
};

/** A copy of `value` with a throwing getter `name`. */
const throwingAt = (value: object, name: string): object =>
  Object.defineProperty({ ...value }, name, { get: thrower, enumerable: true });

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const holes = (length: number): unknown[] => {
  const array: unknown[] = [];
  array.length = length;
  return array;
};

const GOOD = { tenant: 'acme', corpus: 'docs', document: documentOf('doc') };
const withDocument = (change: object): object => ({ ...GOOD, document: { ...documentOf('doc'), ...change } });
const core = (part: object): object => ({
  ...GOOD,
  document: { type: 'core', id: 'doc', document_parts: [part] },
});

/** The request, and the field in the error. */
const FAULTS: readonly (readonly [what: string, request: unknown, field: string])[] = [
  ['no request', undefined, 'request'],
  ['a null request', null, 'request'],
  ['an array as request', [GOOD], 'request'],
  ['a string as request', 'acme', 'request'],
  ['an unknown field of the request', { ...GOOD, idempotencykey: 'k' }, 'idempotencykey'],
  ['an unknown field that may be content', { ...GOOD, 'what the document says': 1 }, 'request'],
  ['no tenant', { ...GOOD, tenant: undefined }, 'tenant'],
  ['an empty tenant name', { ...GOOD, tenant: '' }, 'tenant'],
  ['a tenant name of another folder', { ...GOOD, tenant: '../x' }, 'tenant'],
  ['a tenant name of 51 characters', { ...GOOD, tenant: 'x'.repeat(51) }, 'tenant'],
  ['a tenant name with a line feed at its end', { ...GOOD, tenant: 'acme\n' }, 'tenant'],
  ['a tenant name given as an array', { ...GOOD, tenant: ['acme'] }, 'tenant'],
  ['a corpus name with a slash', { ...GOOD, corpus: 'a/b' }, 'corpus'],
  ['no corpus', { tenant: 'acme', document: documentOf('doc') }, 'corpus'],
  ['another ifExists', { ...GOOD, ifExists: 'maybe' }, 'ifExists'],
  ['a null ifExists', { ...GOOD, ifExists: null }, 'ifExists'],
  ['an empty idempotencyKey', { ...GOOD, idempotencyKey: '' }, 'idempotencyKey'],
  ['an idempotencyKey of 257 characters', { ...GOOD, idempotencyKey: 'k'.repeat(257) }, 'idempotencyKey'],
  ['an idempotencyKey with a lone surrogate', { ...GOOD, idempotencyKey: 'k\ud800' }, 'idempotencyKey'],
  ['an idempotencyKey given as a number', { ...GOOD, idempotencyKey: 7 }, 'idempotencyKey'],
  ['a null idempotencyKey', { ...GOOD, idempotencyKey: null }, 'idempotencyKey'],
  ['no document', { tenant: 'acme', corpus: 'docs' }, 'document'],
  ['JSON text as document', { ...GOOD, document: JSON.stringify(documentOf('doc')) }, 'document'],
  ['an array as document', { ...GOOD, document: [documentOf('doc')] }, 'document'],
  ['another type', withDocument({ type: 'file' }), 'type'],
  ['no id', withDocument({ id: null }), 'id'],
  ['an empty id', withDocument({ id: '' }), 'id'],
  ['an id of 1,025 characters', withDocument({ id: 'x'.repeat(1025) }), 'id'],
  ['an id with a lone surrogate', withDocument({ id: 'x\udc00' }), 'id'],
  ['an unknown field', withDocument({ titel: 'x' }), 'titel'],
  ['an unknown field of a section', withDocument({ sections: [{ text: 'x', body: 'y' }] }), 'sections[0].body'],
  ['empty sections', withDocument({ sections: [] }), 'sections'],
  ['a section with nothing in it', withDocument({ sections: [{}] }), 'sections[0].text'],
  ['no parts', { ...GOOD, document: { type: 'core', id: 'doc', document_parts: [] } }, 'document_parts'],
  ['a part past the limit', core({ text: 'x'.repeat(1001) }), 'document_parts[0].text'],
  ['a text with a lone surrogate', withDocument({ sections: [{ text: 'a\ud83d' }] }), 'sections[0].text'],
  ['a metadata key with a lone surrogate', withDocument({ metadata: { '\ud83d': 1 } }), 'metadata'],
  [
    '__proto__ as a metadata key',
    withDocument({ metadata: JSON.parse('{"__proto__":{"a":1}}') as object }),
    'metadata',
  ],
  ['metadata of 50 levels', withDocument({ metadata: nested(50) }), 'metadata'],
  ['sections of 50 levels', withDocument({ sections: [sectionsNested(50)] }), 'sections[0]'],
  ['metadata of 2 MiB', withDocument({ metadata: { a: 'x'.repeat(2 * 1024 * 1024) } }), 'metadata'],
  ['a number without a JSON form', withDocument({ metadata: { a: Number.NaN } }), 'metadata'],
  ['a date', withDocument({ metadata: { a: new Date(0) } }), 'metadata'],
  ['a request with a throwing getter', throwingAt(GOOD, 'tenant'), 'request'],
  ['a document with a throwing getter', { ...GOOD, document: throwingAt(documentOf('doc'), 'title') }, 'document'],
  ['a request given as a revoked proxy', revoked(), 'request'],
  ['a document given as a revoked proxy', { ...GOOD, document: revoked() }, 'document'],
  ['a proxy that throws', { ...GOOD, document: new Proxy({}, { ownKeys: thrower }) }, 'document'],
  ['an array of four billion holes', withDocument({ sections: holes(2 ** 32 - 2) }), 'sections'],
];

describe('an invalid request', () => {
  it.each(FAULTS.map(([what], index) => ({ what, index })))(
    '($what) is rejected with its field, and nothing is queued or stored, nor KMS called',
    async ({ index }) => {
      const [, request, field = ''] = FAULTS[index] ?? [];
      const error = await refusalOf(() => producer.enqueueIndex(request as IndexRequest));
      expect({ code: error.code, field: error.field?.slice(0, field.length) }).toEqual({
        code: 'DOCUMENT_INVALID',
        field,
      });
      expect(error.message).not.toContain('secret word');
      expect(error.cause).toBeUndefined();
      await expectNothing();
    },
  );

  it('is rejected at its position in a bulk too', async () => {
    const results = await producer.enqueueIndexBulk(FAULTS.map(([, request]) => request as IndexRequest));
    expect(results).toHaveLength(FAULTS.length);
    for (const [index, [, , field]] of FAULTS.entries())
      expect(results[index]).toMatchObject({
        code: 'DOCUMENT_INVALID',
        field: expect.stringContaining(field) as string,
      });
    await expectNothing();
  });

  it('for an unknown tenant is rejected, and nothing is queued or stored, nor KMS called', async () => {
    const request = { ...GOOD, tenant: 'nobody', idempotencyKey: 'k' };
    expect((await refusalOf(() => producer.enqueueIndex(request))).code).toBe('TENANT_UNKNOWN');
    await expectNothing();
  });

  it('for a bulk other than an array of at most 100,000 is rejected as a whole', async () => {
    for (const requests of [undefined, null, {}, 'requests', GOOD, { length: 3 }, revoked(), holes(100_001)]) {
      const error = await refusalOf(() => producer.enqueueIndexBulk(requests as IndexRequest[]));
      expect(error).toMatchObject({ code: 'DOCUMENT_INVALID', field: 'requests' });
    }
    await expectNothing();
  });
});

it('a valid request is queued by the same producer after all that', async () => {
  expect(await producer.enqueueIndex(GOOD)).toMatchObject({ status: 'queued' });
  expect(await scene.jobs()).toHaveLength(1);
});

async function expectNothing(): Promise<void> {
  expect(await scene.jobs()).toEqual([]);
  expect(await scene.redis.keys(`sealdex:{${scene.config.queue}}:markers:*`)).toEqual([]);
  expect(await scene.keysOf('intake/')).toEqual([]);
  expect(scene.services.kms.counts.all()).toEqual([]);
}
