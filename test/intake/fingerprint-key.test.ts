// The installation's secret for request fingerprints: one for all processes, one KMS call per process, replaced if it cannot be unwrapped.
import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { FingerprintKey, isOtherRequest } from '../../src/intake/fingerprint-key.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { readAll } from '../../src/store/store.ts';
import { FakeClock } from '../support/clock.ts';
import { KMS_FAULTS, MemoryKms } from '../support/memory-kms.ts';
import { MemoryBucket, STORE_FAULTS } from '../support/memory-store.ts';

const NAME = 'system/main/fingerprint-key';
const CONTENT = Buffer.from('The content of a request.');

let bucket: MemoryBucket;
let kms: MemoryKms;

beforeEach(() => {
  bucket = new MemoryBucket();
  kms = new MemoryKms();
});

/** The key of another process, with the settings of that one. */
const open = ({
  platformKeyArn = kms.platformKeyArn,
  platformFormerKeyArns = [] as string[],
  client = kms.connect(),
} = {}): FingerprintKey =>
  new FingerprintKey({
    kms: client,
    store: bucket.connect(),
    clock: new FakeClock(),
    config: { queue: 'main', platformKeyArn, platformFormerKeyArns },
  });

async function fingerprint(key: FingerprintKey, content: Uint8Array = CONTENT): Promise<string> {
  const hash = await key.begin();
  hash.update(content);
  return hash.digest();
}

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error instanceof SealdexError ? error.code : error),
  );

async function stored(): Promise<{ text: string; etag: string }> {
  const object = await bucket.connect().get(NAME);
  if (!object) throw new Error('there is no secret');
  return { text: (await readAll(object)).toString(), etag: object.etag };
}

describe('the secret', () => {
  test('is created once if ten processes need it at the same time', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => fingerprint(open())));
    const { etag } = await stored();
    made.push(await fingerprint(open()));
    expect(new Set(made).size).toBe(1);
    expect((await stored()).etag).toBe(etag);
  });

  test('costs each later process one KMS call, regardless of the number of fingerprints', async () => {
    const first = await fingerprint(open());
    const later = open();
    const before = kms.counts.count();
    expect(await Promise.all(Array.from({ length: 20 }, () => fingerprint(later)))).toEqual(Array(20).fill(first));
    expect(await fingerprint(later)).toBe(first);
    expect(kms.counts.count() - before).toBe(1);
    expect(kms.counts.count({ operation: 'Decrypt' })).toBe(1);
  });

  test('is not replaced if a newer release wrote it, and causes an error', async () => {
    const newer = '{"v":2,"wrapped":{}}';
    await bucket.connect().put(NAME, Buffer.from(newer), {});
    await expect(fingerprint(open())).rejects.toMatchObject({
      code: 'STORE_FAILED',
      reason: 'Newer',
      message: `${NAME} was written by a newer release of sealdex. Upgrade this process.`,
    });
    expect((await stored()).text).toBe(newer);
  });

  test('is stored only wrapped, and makes unique fingerprints', async () => {
    const secrets: Buffer[] = [];
    const made = await fingerprint(open({ client: noting(secrets) }));
    const { text } = await stored();
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(text).not.toContain(secrets[0]!.toString(encoding));
    expect(JSON.parse(text)).toEqual({
      v: 1,
      keyArn: kms.platformKeyArn,
      period: expect.stringMatching(/^2026-11-23T1[12]:\d\dZ$/) as string,
      wrapped: expect.any(String) as string,
    });
    const { wrapped } = JSON.parse(text) as { wrapped: string };
    const guesses = [
      createHash('sha256'),
      ...[wrapped, Buffer.from(wrapped, 'base64'), ''].map((key) => createHmac('sha256', key)),
    ];
    for (const guess of guesses) expect(made).not.toContain(guess.update(CONTENT).digest('base64url'));
    expect(made).toContain(createHmac('sha256', secrets[0]!).update(CONTENT).digest('base64url'));
    expect(made).toHaveLength(52);
  });

  test('is zeroed on close, and by the loser of a race', async () => {
    const secrets: Buffer[] = [];
    const client = noting(secrets);
    const both = [open({ client }), open({ client })];
    await Promise.all(both.map((key) => fingerprint(key)));
    expect(secrets.length).toBeGreaterThanOrEqual(2);
    for (const key of both) key.close();
    expect(await codeOf(both[0]!.begin())).toBe('KMS_FAILED');
    expect(secrets.filter((bytes) => bytes.some((byte) => byte !== 0))).toEqual([]);
  });

  test('is requested again after KMS or S3 failed', async () => {
    const key = open();
    const throttled = kms.faults.set({ fault: KMS_FAULTS.throttled });
    expect(await codeOf(key.begin())).toBe('KMS_THROTTLED');
    throttled.clear();
    const denied = bucket.faults.set({ match: { prefix: NAME }, fault: STORE_FAULTS.accessDenied });
    expect(await codeOf(key.begin())).toBe('STORE_FAILED');
    denied.clear();
    expect(await fingerprint(key)).toBe(await fingerprint(open()));
  });

  test('remains unchanged while the platform key is disabled', async () => {
    const first = await fingerprint(open());
    kms.disable(kms.platformKeyArn);
    expect(await codeOf(open().begin())).toBe('PLATFORM_KEY');
    kms.enable(kms.platformKeyArn);
    expect(await fingerprint(open())).toBe(first);
  });
});

describe('a secret under a former platform key', () => {
  test('is used as long as the key is listed', async () => {
    const first = await fingerprint(open());
    const platformFormerKeyArns = [kms.platformKeyArn];
    expect(await fingerprint(open({ platformKeyArn: kms.createKey(), platformFormerKeyArns }))).toBe(first);
  });

  test('is replaced once for all processes if the key is no longer listed', async () => {
    const first = await fingerprint(open());
    const platformKeyArn = kms.createKey();
    const later = await Promise.all([1, 2, 3].map(() => fingerprint(open({ platformKeyArn }))));
    expect(new Set(later).size).toBe(1);
    expect(later[0]).not.toBe(first);
    expect(isOtherRequest(later[0]!, first)).toBe(false);
  });
});

test.each(['', 'no json', '{"v":1}', 'x'.repeat(30_000), 'foreign'])(
  'an object without a usable secret (%#) is replaced',
  async (text) => {
    const foreign = JSON.stringify({
      v: 1,
      keyArn: kms.platformKeyArn,
      period: '2026-11-23T11:00Z',
      wrapped: Buffer.alloc(100).toString('base64'),
    });
    await bucket.connect().put(NAME, Buffer.from(text === 'foreign' ? foreign : text), {});
    expect(await fingerprint(open())).toBe(await fingerprint(open()));
  },
);

test('fingerprints differ by request only if they use the same secret', async () => {
  const key = open();
  const [one, same, other] = [await fingerprint(key), await fingerprint(key), await fingerprint(key, Buffer.from('x'))];
  expect([isOtherRequest(one, same), isOtherRequest(one, other)]).toEqual([false, true]);
});

/** A client that records its returned plaintexts. */
function noting(secrets: Buffer[]): Kms {
  const client = kms.connect();
  return {
    ...client,
    async generateDataKey(key, scope) {
      const generated = await client.generateDataKey(key, scope);
      secrets.push(generated.plaintext);
      return generated;
    },
    async decrypt(key, wrapped, scope) {
      const plaintext = await client.decrypt(key, wrapped, scope);
      secrets.push(plaintext);
      return plaintext;
    },
  };
}
