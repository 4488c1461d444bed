// Guarantees of the writer beside the bytes: exact lengths, separate memory, and rejected input.
import { describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { decryptMessage, encryptMessage, encryptStream, messageBytes } from '../../src/envelope/message.ts';
import type { EnvelopeKey, MessageOptions } from '../../src/envelope/message.ts';
import { framesOf, writeFrame } from '../../src/envelope/body.ts';
import { deriveMessageKey } from '../../src/envelope/suite.ts';
import { DATA_KEY, MESSAGE_ID, gather, inChunks, keyOf, noise, planOf, unwrap } from './fixture.ts';
import { encryptionKey, sortedPairs } from './reference.ts';

const TEXT = Buffer.from('hello queue worker');
const MIB = 1024 * 1024;

describe('an impossible message is rejected, and the error named:', () => {
  it.each<readonly [string, EnvelopeKey, MessageOptions, RegExp]>([
    ['a reserved context key', keyOf({ 'aws-crypto-public-key': 'x' }), {}, /aws-crypto-/],
    ['an empty context key', keyOf({ '': 'x' }), {}, /must not be empty/],
    ['a context of 65,536 bytes', keyOf({ k: 'v'.repeat(65_536 - 7) }), {}, /65,535/],
    ['a lone surrogate in a context key', keyOf({ 'a\ud800': 'x' }), {}, /well-formed Unicode/],
    ['a lone surrogate in a context value', keyOf({ x: '\udc00a' }), {}, /well-formed Unicode/],
    ['a lone surrogate in an ARN', keyOf({}, { arn: 'arn\ud800' }), {}, /well-formed Unicode/],
    ['no ARN', keyOf({}, { arn: '' }), {}, /ARN/],
    ['an ARN of 65,536 bytes', keyOf({}, { arn: 'a'.repeat(65_536) }), {}, /ARN/],
    ['no wrapped key', keyOf({}, { wrapped: Buffer.alloc(0) }), {}, /wrapped/],
    ['a wrapped key of 65,536 bytes', keyOf({}, { wrapped: Buffer.alloc(65_536) }), {}, /wrapped/],
    ['a frame length of 0', keyOf(), { frameBytes: 0 }, /frame/],
    ['a frame length of half a byte', keyOf(), { frameBytes: 1.5 }, /frame/],
    ['a frame length without a number', keyOf(), { frameBytes: Number.NaN }, /frame/],
    ["a frame length beyond the reader's limit", keyOf(), { frameBytes: 16 * MIB + 1 }, /frame/],
  ])('%s', async (_, key, options, fault) => {
    const expected = expect.objectContaining({ code: 'INTERNAL', message: expect.stringMatching(fault) as string });
    expect(() => encryptMessage(key, TEXT, options)).toThrow(SealdexError);
    expect(() => encryptMessage(key, TEXT, options)).toThrow(expected);
    expect(() => messageBytes(key, TEXT.length, options)).toThrow(expected);
    await expect(encryptStream(key, inChunks(TEXT), options).next()).rejects.toEqual(expected);
  });

  it('a data key of another length than 32 bytes', () => {
    const long = keyOf({}, { use: (fn) => fn(noise(33)) });
    expect(() => encryptMessage(long, TEXT)).toThrow(/32 bytes/);
  });

  it.each([-1, 0.5, Number.NaN, Infinity])('a plaintext length of %s', (length) => {
    expect(() => messageBytes(keyOf(), length)).toThrow(/whole number/);
  });

  it('more than 4,294,967,295 frames', () => {
    const most = 0xffffffff * 4 - 1;
    expect(framesOf(most, 4)).toEqual({ regular: 0xfffffffe, rest: 3 });
    expect(messageBytes(keyOf(), most, { frameBytes: 4 })).toBeGreaterThan(most);
    expect(() => messageBytes(keyOf(), most + 1, { frameBytes: 4 })).toThrow(/frames/);
    const key = deriveMessageKey(DATA_KEY, MESSAGE_ID);
    const out = Buffer.alloc(64);
    expect(writeFrame(out, 0, key, 'regular', 0xfffffffe, noise(4))).toBe(36);
    expect(() => writeFrame(out, 0, key, 'regular', 0xffffffff, noise(4))).toThrow(/frames/);
    expect(writeFrame(out, 0, key, 'final', 0xffffffff, noise(4))).toBe(44);
  });

  it('a stream of text', async () => {
    async function* text(): AsyncGenerator<Uint8Array> {
      yield 'hello' as unknown as Uint8Array;
    }
    await expect(gather(encryptStream(keyOf(), text()))).rejects.toThrow(/bytes, not text/);
  });

  it('an error of key.use, which is thrown unchanged', async () => {
    const expired = new SealdexError('KMS_FAILED');
    const key = keyOf(
      {},
      {
        use: () => {
          throw expired;
        },
      },
    );
    expect(() => encryptMessage(key, TEXT)).toThrow(expired);
    await expect(encryptStream(key, inChunks(TEXT)).next()).rejects.toBe(expired);
  });
});

describe('a written message', () => {
  it('has its precomputed length, in separate memory', async () => {
    for (const length of [0, 1, 63, 64, 65, 128, 1000]) {
      const message = encryptMessage(keyOf(), noise(length), { frameBytes: 64 });
      expect(message.length).toBe(messageBytes(keyOf(), length, { frameBytes: 64 }));
      expect(message.buffer.byteLength).toBe(message.length);
      expect((await decryptMessage(message, unwrap)).buffer.byteLength).toBe(length);
    }
  });

  it('has the size given by the sum of its fields for a key ARN of 75 characters and a wrapped key of 184 bytes', () => {
    const key = keyOf({}, { arn: 'a'.repeat(75), wrapped: noise(184) });
    expect(messageBytes(key, 0)).toBe(364 + 40);
    expect(messageBytes(keyOf({ a: 'b' }, { arn: key.arn, wrapped: key.wrapped }), 0)).toBe(364 + 8 + 40);
  });

  it('has frames of 64 KiB by default', async () => {
    const frameBytes: number[] = [];
    await decryptMessage(encryptMessage(keyOf(), noise(100_000)), (header) => {
      frameBytes.push(header.frameBytes);
      return keyOf();
    });
    expect(frameBytes).toEqual([65_536]);
  });

  it('has a new message id each time, so that no two are equal', () => {
    const ids = Array.from({ length: 100 }, () => encryptMessage(keyOf(), TEXT).toString('hex', 3, 35));
    expect(new Set(ids).size).toBe(100);
  });

  it('has its context sorted by bytes, not as JavaScript sorts text', () => {
    const context = { '\u{1f600}': 'b', '\uff5e': 'a', z: 'c', __proto__x: 'd' };
    expect(['\u{1f600}', '\uff5e'].sort()).toEqual(['\u{1f600}', '\uff5e']);
    const message = encryptMessage(keyOf(context), TEXT);
    const length = message.readUInt16BE(35);
    expect(message.subarray(37, 37 + length)).toEqual(sortedPairs(context));
    expect(message.indexOf('\uff5e')).toBeLessThan(message.indexOf('\u{1f600}'));
  });

  it('keeps a context key __proto__', async () => {
    const context = JSON.parse('{"__proto__":"x","a":"b"}') as Record<string, string>;
    const seen: unknown[] = [];
    await decryptMessage(encryptMessage(keyOf(context), TEXT), (header) => {
      seen.push(...Object.entries(header.context));
      return keyOf();
    });
    expect(seen).toEqual([
      ['__proto__', 'x'],
      ['a', 'b'],
    ]);
  });

  it('can have a context of 65,535 bytes', async () => {
    const message = encryptMessage(keyOf({ k: 'v'.repeat(65_535 - 7) }), TEXT);
    expect(await decryptMessage(message, unwrap)).toEqual(TEXT);
  });

  it('uses a derived key, so that the data key is used once per message', async () => {
    let uses = 0;
    const counting = keyOf(
      {},
      {
        use: (fn) => {
          uses += 1;
          return fn(DATA_KEY);
        },
      },
    );
    encryptMessage(counting, noise(1000), { frameBytes: 10 });
    expect(uses).toBe(1);
    await gather(encryptStream(counting, inChunks(noise(1000)), { frameBytes: 10 }));
    expect(uses).toBe(2);
  });

  it('has a key that plain HKDF derives too', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const [dataKey, messageId] = [noise(32, seed), noise(32, seed + 1000)];
      const key = deriveMessageKey(dataKey, messageId);
      expect(key.encrypt.export()).toEqual(encryptionKey(planOf(TEXT, 8, { dataKey, messageId })));
    }
  });
});
