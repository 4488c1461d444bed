// Properties of any plaintext, frame length and context, and of any damage.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decryptMessage,
  decryptStream,
  encryptMessage,
  encryptStream,
  messageBytes,
} from '../../src/envelope/message.ts';
import { decodeContext, encodeContext } from '../../src/envelope/context.ts';
import { expectRefusalError, gather, inChunks, keyOf, noise, planOf, unwrap } from './fixture.ts';
import { referenceMessage, sortedPairs } from './reference.ts';

const MIB = 1024 * 1024;
const FRAMES_MAX = 10_000;
const SEED = 478;

const context = fc.dictionary(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((key) => !key.startsWith('aws-crypto-')),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  { maxKeys: 8 },
);

/** Any length up to 1 MiB, near and far from multiples of a frame length that gives at most 10,000 frames. */
const shape = fc
  .record({
    length: fc.oneof(fc.nat(300), fc.nat(70_000), fc.nat(MIB), fc.constantFrom(0, 65_536, MIB)),
    scale: fc.integer({ min: 0, max: 24 }),
    within: fc.nat(),
    isMultiple: fc.boolean(),
  })
  .map(({ length, scale, within, isMultiple }) => {
    const low = Math.max(1, Math.ceil(length / (FRAMES_MAX - 1)));
    const frameBytes = Math.min(16 * MIB, Math.max(low, 2 ** scale + (within % 2 ** scale)));
    return { length: isMultiple ? length - (length % frameBytes) : length, frameBytes };
  });

describe('a message of any length, frame length and context', () => {
  it('has its exact length, equals that of the reference, and is read back', async () => {
    await fc.assert(
      fc.asyncProperty(shape, context, async ({ length, frameBytes }, context) => {
        const plaintext = noise(length, length + frameBytes);
        const key = keyOf(context);
        const message = encryptMessage(key, plaintext, { frameBytes });
        expect(message.length).toBe(messageBytes(key, length, { frameBytes }));
        const read = await decryptMessage(message, (header) => {
          expect({ ...header.context }).toEqual({ ...context });
          expect(header.frameBytes).toBe(frameBytes);
          return key;
        });
        expect(plaintext.equals(read)).toBe(true);
        if (length / frameBytes > 1000) return;
        const messageId = message.subarray(3, 35);
        const reference = referenceMessage(planOf(plaintext, frameBytes, { messageId, context: sortedPairs(context) }));
        expect(reference.equals(message)).toBe(true);
      }),
      { numRuns: 150, seed: SEED },
    );
  });

  it('is the same when written and read as a stream in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(shape, context, fc.integer({ min: 1, max: 200_000 }), async (shape, context, chunk) => {
        const size = Math.max(chunk, Math.ceil(shape.length / 5000));
        const plaintext = noise(shape.length, chunk);
        const { frameBytes } = shape;
        const message = await gather(encryptStream(keyOf(context), inChunks(plaintext, size), { frameBytes }));
        expect(message.length).toBe(messageBytes(keyOf(context), shape.length, { frameBytes }));
        expect(plaintext.equals(await decryptMessage(message, unwrap))).toBe(true);
        expect(plaintext.equals(await gather(decryptStream(inChunks(message, size), unwrap)))).toBe(true);
      }),
      { numRuns: 60, seed: SEED },
    );
  });

  it('has the context that the reference writes, and returns it', () => {
    fc.assert(
      fc.property(context, (context) => {
        const bytes = encodeContext(context);
        expect(bytes).toEqual(sortedPairs(context));
        expect({ ...decodeContext(bytes) }).toEqual({ ...context });
      }),
      { numRuns: 500, seed: SEED },
    );
  });
});

describe('a damaged message', () => {
  const message = encryptMessage(keyOf(), noise(500), { frameBytes: 100 });

  const expectRefused = async (bytes: Uint8Array): Promise<void> => {
    const whole: unknown = await decryptMessage(bytes, unwrap).catch((error: unknown) => error);
    const stream: unknown = await gather(decryptStream(inChunks(bytes, 7), unwrap)).catch((error: unknown) => error);
    expectRefusalError(whole);
    expect(stream).toEqual(whole);
  };

  it('with a part replaced, omitted, repeated or moved is rejected', async () => {
    let refused = 0;
    const slice = fc
      .tuple(fc.nat(message.length), fc.nat(message.length))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
    await fc.assert(
      fc.asyncProperty(
        slice,
        fc.nat(message.length),
        fc.uint8Array({ maxLength: 40 }),
        async ([from, to], at, bytes) => {
          const [before, part, after] = [message.subarray(0, from), message.subarray(from, to), message.subarray(to)];
          const rest = Buffer.concat([before, after]);
          const damaged = [
            Buffer.concat([before, bytes, after]),
            rest,
            Buffer.concat([before, part, part, after]),
            Buffer.concat([rest.subarray(0, at), part, rest.subarray(at)]),
          ];
          const changed = damaged.filter((other) => !other.equals(message));
          for (const other of changed) await expectRefused(other);
          refused += changed.length;
        },
      ),
      { numRuns: 200, seed: SEED },
    );
    expect(refused).toBeGreaterThan(600);
  });

  it('made of any bytes is rejected without other effects', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(240), fc.uint8Array({ maxLength: 300 }), async (kept, bytes) => {
        await expectRefused(bytes);
        const begun = Buffer.concat([message.subarray(0, kept), bytes]);
        if (!message.equals(begun)) await expectRefused(begun);
      }),
      { numRuns: 400, seed: SEED },
    );
    expect(await decryptMessage(message, unwrap)).toEqual(noise(500));
  });
});
