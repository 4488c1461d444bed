// Every rejection of the format, each by a message with one error, whole and as a stream.
import { describe, expect, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { decryptMessage, decryptStream, encryptMessage } from '../../src/envelope/message.ts';
import type { Refusal, Unwrap } from '../../src/envelope/message.ts';
import { REFUSALS } from '../../src/envelope/refusal.ts';
import {
  ARN,
  DATA_KEY,
  OTHER_DATA_KEY,
  WRAPPED,
  expectRefusal,
  inChunks,
  keyOf,
  noise,
  planOf,
  unwrap,
} from './fixture.ts';
import { frame, pairs, plan, referenceMessage, singleBlock } from './reference.ts';
import type { FramePlan, Plan } from './reference.ts';

const TEXT = Buffer.from('hello queue worker');
const FRAME_BYTES = 8;
const HEADER_BYTES = 222;

const golden = planOf(TEXT, FRAME_BYTES);
const write = (over: Partial<Plan>): Buffer => referenceMessage({ ...golden, ...over });
const good = write({});
const frames = plan(TEXT, FRAME_BYTES);
const [first, second, last] = frames as [FramePlan, FramePlan, FramePlan];
const edk = { provider: 'aws-kms', info: ARN, ciphertext: WRAPPED };
const flipped = (at: number): Buffer => {
  const bytes = Buffer.from(good);
  bytes[at]! ^= 1;
  return bytes;
};
const mib = 1024 * 1024;

type Case = readonly [string, Refusal, Buffer];

/** Rejected by the header, so before unwrap is called. */
const BEFORE_UNWRAP: readonly Case[] = [
  ['nothing at all', 'truncated', Buffer.alloc(0)],
  ['a context longer than the message', 'truncated', Buffer.concat([good.subarray(0, 35), noise(2)])],
  ['a message as base64 text', 'base64', Buffer.from(good.toString('base64').replace(/^Ag/, 'AY'))],
  ['version 1', 'unsupported-version', write({ version: 1 })],
  ['version 3', 'unsupported-version', write({ version: 3 })],
  ['the suite with a signature', 'unsupported-suite', write({ suite: 0x0578 })],
  ['a suite that does not commit to its key', 'unsupported-suite', write({ suite: 0x0178 })],
  ['a context of no pairs that has a length', 'context', write({ context: pairs() })],
  ['a context too short for a count', 'context', write({ context: noise(1) })],
  [
    'a context with bytes after its pairs',
    'context',
    write({ context: Buffer.concat([pairs(['tenant', 't']), noise(1)]) }),
  ],
  ['a context with fewer pairs than it counts', 'context', write({ context: pairs(['a', 'b']).fill(2, 1, 2) })],
  ['a context key that runs past the context', 'context', write({ context: Buffer.from('0001000561', 'hex') })],
  ['a context with the same key twice', 'context', write({ context: pairs(['a', '1'], ['a', '2']) })],
  ['a context key in invalid UTF-8', 'context', write({ context: pairs([Buffer.from([0xff]), 'x']) })],
  ['a context value in invalid UTF-8', 'context', write({ context: pairs(['x', Buffer.from([0xc3])]) })],
  ['an encoded surrogate in a context', 'context', write({ context: pairs(['x', Buffer.from('eda080', 'hex')]) })],
  ['a reserved context key', 'context', write({ context: pairs(['aws-crypto-public-key', 'x']) })],
  ['no wrapped data key', 'edk-count', write({ edks: [] })],
  ['two wrapped data keys', 'edk-count', write({ edks: [edk, edk] })],
  ['a wrapped data key of another provider', 'provider', write({ edks: [{ ...edk, provider: 'aws-kms-hierarchy' }] })],
  ['a provider in capitals', 'provider', write({ edks: [{ ...edk, provider: 'AWS-KMS' }] })],
  [
    'a raw keyring with binary key information',
    'provider',
    write({ edks: [{ ...edk, provider: 'raw', info: noise(40) }] }),
  ],
  ['an ARN in invalid UTF-8', 'provider', write({ edks: [{ ...edk, info: Buffer.from([0x61, 0xff]) }] })],
  [
    'a valid non-framed message',
    'non-framed',
    write({ contentType: 1, frameBytes: 0, content: singleBlock(golden, TEXT) }),
  ],
  ['an unknown content type', 'content-type', write({ contentType: 3 })],
  ['a frame length of 0', 'frame-length', write({ frameBytes: 0 })],
  ['a frame length of 16 MiB and 1', 'frame-length', write({ frameBytes: 16 * mib + 1 })],
  ['the largest frame length there is', 'frame-length', write({ frameBytes: 0xffffffff })],
  ['a header without its tag', 'truncated', good.subarray(0, HEADER_BYTES - 16)],
];

/** Rejected with the data key, by the header alone: no frame is opened. */
const BY_HEADER: readonly Case[] = [
  ['a message under another data key', 'commitment', write({ dataKey: OTHER_DATA_KEY })],
  ['another commitment under a right header tag', 'commitment', write({ commit: noise(32) })],
  ['another header tag', 'header-tag', flipped(HEADER_BYTES - 1)],
  ['another context under the old tag', 'header-tag', flipped(37 + 2 + 2 + 7 + 2)],
  ['another ARN under the old tag', 'header-tag', flipped(good.indexOf('mrk-') + 10)],
  ['another wrapped key under the old tag', 'header-tag', flipped(good.indexOf(WRAPPED))],
  ['another frame length under the old tag', 'header-tag', flipped(good.indexOf(WRAPPED) + WRAPPED.length + 4)],
  ['a header with the tag of another header', 'header-tag', write({ headerTag: noise(16) })],
];

/** Rejected in the frames; the third column is the number of plaintext bytes released before. */
const BY_FRAMES: readonly (readonly [string, Refusal, Buffer, number])[] = [
  ['a message without frames', 'truncated', write({ content: [] }), 0],
  ['a message without its final frame', 'truncated', write({ content: [first, second] }), 16],
  ['a message cut in its final frame', 'truncated', good.subarray(0, -1), 16],
  ['a first frame with number 0', 'sequence', write({ content: [{ ...first, sequence: 0 }] }), 0],
  ['a message without its first frame', 'sequence', write({ content: [second, last] }), 0],
  ['a message without its middle frame', 'sequence', write({ content: [first, last] }), 8],
  ['a frame twice', 'sequence', write({ content: [first, first, second, last] }), 8],
  ['frames in another order', 'sequence', write({ content: [second, first, last] }), 0],
  [
    'a final frame with a number too high',
    'sequence',
    write({ content: [first, second, { ...last, sequence: 4 }] }),
    16,
  ],
  [
    'a final frame longer than a frame, with a valid tag',
    'final-length',
    write({ content: [first, { kind: 'final', sequence: 2, plaintext: TEXT.subarray(8) }] }),
    8,
  ],
  ['another ciphertext', 'frame-tag', flipped(HEADER_BYTES + 16), 0],
  ['another IV', 'frame-tag', flipped(HEADER_BYTES + 15), 0],
  ['another frame tag', 'frame-tag', flipped(HEADER_BYTES + 40 + 39), 8],
  [
    'a regular frame made the final one',
    'frame-tag',
    Buffer.concat([
      good.subarray(0, HEADER_BYTES),
      Buffer.from('ffffffff', 'hex'),
      good.subarray(HEADER_BYTES, HEADER_BYTES + 16),
      Buffer.from('00000008', 'hex'),
      good.subarray(HEADER_BYTES + 16, HEADER_BYTES + 40),
    ]),
    0,
  ],
  [
    'a frame of another message under the same data key',
    'frame-tag',
    write({ content: Buffer.concat([frame({ ...golden, messageId: noise(32) }, first), frame(golden, second)]) }),
    0,
  ],
  ['one byte after the final frame', 'trailing', Buffer.concat([good, Buffer.alloc(1)]), 16],
  ['a second final frame', 'trailing', write({ content: [...frames, { ...last, sequence: 4 }] }), 16],
  ['a second message after the first', 'trailing', Buffer.concat([good, good]), 16],
];

describe('a message is rejected', () => {
  it.each(BEFORE_UNWRAP)('for %s (%s), without a call of unwrap', async (_, reason, message) => {
    let calls = 0;
    await expectRefusal(message, reason, () => {
      calls += 1;
      return keyOf();
    });
    expect(calls).toBe(0);
  });

  it.each(BY_HEADER)('for %s (%s)', async (_, reason, message) => {
    expect((await expectRefusal(message, reason)).released).toHaveLength(0);
  });

  it.each(BY_FRAMES)('for %s (%s), and only earlier frames are released', async (_, reason, message, before) => {
    expect((await expectRefusal(message, reason)).released).toEqual(TEXT.subarray(0, before));
  });

  it('as truncated wherever it ends early', async () => {
    for (let length = 0; length < good.length; length += 1) {
      const { released } = await expectRefusal(good.subarray(0, length), 'truncated');
      expect(TEXT.subarray(0, released.length)).toEqual(released);
    }
  });

  it('with one bit changed in any of its bytes', async () => {
    const long = encryptMessage(keyOf(), noise(200), { frameBytes: 60 });
    for (const message of [good, long]) {
      for (let at = 0; at < message.length; at += 1) {
        const bytes = Buffer.from(message);
        bytes[at]! ^= 1 << (at % 8);
        const error: unknown = await decryptMessage(bytes, unwrap).then(
          () => undefined,
          (error: unknown) => error,
        );
        expect(error, `byte ${at} changed`).toBeInstanceOf(SealdexError);
        await expectRefusal(bytes, (error as SealdexError).reason as Refusal);
      }
    }
  });

  it('for each reason in the list at least once in these tests', () => {
    const seen = new Set([...BEFORE_UNWRAP, ...BY_HEADER, ...BY_FRAMES].map(([, reason]) => reason));
    expect([...seen].sort()).toEqual([...REFUSALS].sort());
  });
});

describe('unwrap', () => {
  it('is called once per message, with the full header and before any frame is opened', async () => {
    const broken = Buffer.from(good).fill(0, HEADER_BYTES);
    const calls: string[] = [];
    await expectRefusal(broken, 'sequence', async (header) => {
      calls.push(header.arn);
      return Promise.resolve(keyOf());
    });
    expect(calls).toEqual([ARN, ARN]);
  });

  const fault = new SealdexError('KEY_DENIED', undefined, { reason: 'AccessDeniedException' });
  it.each<readonly [string, Unwrap]>([
    [
      'throws',
      () => {
        throw fault;
      },
    ],
    ['rejects', () => Promise.reject(fault)],
    [
      'returns a key with a failing use()',
      () => ({
        use: () => {
          throw fault;
        },
      }),
    ],
  ])('passes its own error on if it %s', async (_, by) => {
    await expect(decryptMessage(good, by)).rejects.toBe(fault);
    await expect(decryptStream(inChunks(good), by).next()).rejects.toBe(fault);
  });

  it('causes an internal error if it returns a key of another length than 32 bytes', async () => {
    const short: Unwrap = () => ({ use: (fn) => fn(DATA_KEY.subarray(1)) });
    await expect(decryptMessage(good, short)).rejects.toMatchObject({ code: 'INTERNAL', message: /32 bytes/ });
  });

  it('receives a wrapped key that does not keep the message in memory', async () => {
    await decryptMessage(good, (header) => {
      expect(header.wrapped.buffer.byteLength).toBe(WRAPPED.length);
      return keyOf();
    });
  });
});

describe('a message of another writer is accepted', () => {
  const contextOf = async (over: Partial<Plan>): Promise<object> => {
    let context: object = {};
    const text = await decryptMessage(write(over), (header) => {
      context = header.context;
      return keyOf();
    });
    expect(text).toEqual(TEXT);
    return context;
  };

  it('with an unsorted context', async () => {
    const context = await contextOf({ context: pairs(['z', '1'], ['a', '2']) });
    expect(Object.entries(context)).toEqual([
      ['z', '1'],
      ['a', '2'],
    ]);
  });

  it('with an empty context', async () => {
    expect(Object.keys(await contextOf({ context: Buffer.alloc(0) }))).toEqual([]);
  });

  it('with empty keys and values in its context', async () => {
    expect({ ...(await contextOf({ context: pairs(['', '']) })) }).toEqual({ '': '' });
  });

  it('with __proto__ as an ordinary context key', async () => {
    const context = await contextOf({ context: pairs(['__proto__', 'x']) });
    expect(Object.getPrototypeOf(context)).toBeNull();
    expect(Object.entries(context)).toEqual([['__proto__', 'x']]);
  });

  it('with two context keys that differ in a byte order mark only', async () => {
    const context = await contextOf({ context: pairs(['a', '1'], ['\ufeffa', '2']) });
    expect({ ...context }).toEqual({ a: '1', '\ufeffa': '2' });
  });

  it('with other IVs in its frames than sealdex writes, as published vectors have', async () => {
    const iv = Buffer.from('ffffffffffffffff00000001', 'hex');
    expect(await contextOf({ content: [{ ...first, iv }, second, last] })).toHaveProperty('tenant', 't-42');
  });

  it('with the longest frames that sealdex reads', async () => {
    expect(await contextOf({ frameBytes: 16 * mib, content: plan(TEXT, 16 * mib) })).toHaveProperty('tenant', 't-42');
  });

  it('with a header of the largest fields', async () => {
    const context = await contextOf({
      context: pairs(['k', 'v'.repeat(65_535 - 7)]),
      edks: [{ provider: 'aws-kms', info: 'a'.repeat(65_535), ciphertext: noise(65_535) }],
    });
    expect(context).toHaveProperty('k.length', 65_535 - 7);
  });
});
