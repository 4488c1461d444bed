// Streams: the same result for any chunks, at most one frame in memory, no open source at the end.
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  decryptMessage,
  decryptStream,
  encryptMessage,
  encryptStream,
  messageBytes,
  readHeader,
  receiveMessage,
} from '../../src/envelope/message.ts';
import {
  ARN,
  CONTEXT,
  expectRefusalError,
  gather,
  inChunks,
  keyOf,
  noise,
  planOf,
  unwrap,
  WRAPPED,
} from './fixture.ts';
import { referenceMessage } from './reference.ts';

const FRAME_BYTES = 100;

/** A source that counts its chunks and records its end. */
class Watched implements AsyncIterable<Uint8Array> {
  given = 0;
  ended: 'no' | 'drained' | 'returned' | 'failed' = 'no';
  readonly #chunks: readonly Uint8Array[];
  readonly #error: Error | undefined;
  readonly #onReturn: () => Promise<void>;

  constructor(chunks: readonly Uint8Array[], error?: Error, onReturn: () => Promise<void> = async () => {}) {
    this.#chunks = chunks;
    this.#error = error;
    this.#onReturn = onReturn;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const value = this.#chunks[this.given];
        if (value !== undefined) {
          this.given += 1;
          return { value };
        }
        this.ended = this.#error === undefined ? 'drained' : 'failed';
        if (this.#error) throw this.#error;
        return { done: true, value: undefined };
      },
      return: async () => {
        this.ended = 'returned';
        await this.#onReturn();
        return { done: true, value: undefined };
      },
    };
  }
}

const chunksOf = (bytes: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );

const text = noise(1050);
const message = encryptMessage(keyOf(), text, { frameBytes: FRAME_BYTES });

describe('a stream', () => {
  it('fed byte by byte gives the same message as the whole buffer', async () => {
    const streamed = await gather(encryptStream(keyOf(), inChunks(text, 1), { frameBytes: FRAME_BYTES }));
    const messageId = streamed.subarray(3, 35);
    expect(streamed).toEqual(referenceMessage(planOf(text, FRAME_BYTES, { messageId })));
    expect(await gather(decryptStream(inChunks(streamed, 1), unwrap))).toEqual(text);
  });

  it('with a megabyte, byte by byte in both directions, is written and read', async () => {
    const plaintext = noise(1024 * 1024);
    const streamed = await gather(encryptStream(keyOf(), inChunks(plaintext, 1)));
    expect(plaintext.equals(await gather(decryptStream(inChunks(streamed, 1), unwrap)))).toBe(true);
  });

  it.each([0, 1, 99, 100, 101, 199, 200, 201, 1000])(
    'with %i bytes is the same in chunks of any size',
    async (length) => {
      const plaintext = noise(length);
      for (const size of [1, 3, 99, 100, 101, 250, 5000]) {
        const streamed = await gather(encryptStream(keyOf(), inChunks(plaintext, size), { frameBytes: FRAME_BYTES }));
        const messageId = streamed.subarray(3, 35);
        expect(streamed).toEqual(referenceMessage(planOf(plaintext, FRAME_BYTES, { messageId })));
        expect(await gather(decryptStream(inChunks(streamed, size), unwrap))).toEqual(plaintext);
      }
    },
  );

  it('with empty chunks is the same', async () => {
    const nothing = new Uint8Array(0);
    const spaced = (bytes: Uint8Array): Watched =>
      new Watched([nothing, ...chunksOf(bytes, 64).flatMap((chunk) => [chunk, nothing, nothing])]);
    const streamed = await gather(encryptStream(keyOf(), spaced(text), { frameBytes: FRAME_BYTES }));
    expect(await gather(decryptStream(spaced(streamed), unwrap))).toEqual(text);
  });

  it('with one buffer reused for all chunks is the same', async () => {
    async function* reusing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      const buffer = Buffer.alloc(48);
      for (const chunk of chunksOf(bytes, buffer.length)) {
        buffer.fill(0).set(chunk);
        yield buffer.subarray(0, chunk.length);
      }
    }
    const streamed = await gather(encryptStream(keyOf(), reusing(text), { frameBytes: FRAME_BYTES }));
    expect(await gather(decryptStream(reusing(streamed), unwrap))).toEqual(text);
  });

  it('from Node is written and read like any other', async () => {
    const streamed = Readable.from(encryptStream(keyOf(), Readable.from(chunksOf(text, 333))));
    expect(await gather(decryptStream(streamed, unwrap))).toEqual(text);
  });
});

describe('a frame is released', () => {
  it('during writing before the next chunk is requested', async () => {
    const source = new Watched(chunksOf(text, 50));
    const frames = encryptStream(keyOf(), source, { frameBytes: FRAME_BYTES });
    await frames.next();
    for (let frame = 1; frame <= 10; frame += 1) {
      await frames.next();
      expect(source.given).toBe(frame * 2);
    }
  });

  it('during reading before the next one arrives', async () => {
    const source = new Watched(chunksOf(message, 1));
    const headerBytes = message.length - 10 * 132 - 90;
    const frames = decryptStream(source, unwrap);
    for (let frame = 1; frame <= 10; frame += 1) {
      const { value } = await frames.next();
      expect(value).toEqual(text.subarray((frame - 1) * FRAME_BYTES, frame * FRAME_BYTES));
      expect(source.given).toBe(headerBytes + frame * 132);
    }
  });

  it('only after its tag is verified', async () => {
    const broken = Buffer.from(message);
    broken[broken.length - 90 - 1]! ^= 1;
    const released: Buffer[] = [];
    const drain = async (): Promise<void> => {
      for await (const frame of decryptStream(inChunks(broken, 1), unwrap)) released.push(frame);
    };
    expectRefusalError(await drain().catch((error: unknown) => error), 'frame-tag');
    expect(Buffer.concat(released)).toEqual(text.subarray(0, 900));
  });

  it('last when the source has ended', async () => {
    const source = new Watched([referenceMessage(planOf(text, 2000)), noise(1)]);
    await expect(decryptStream(source, unwrap).next()).rejects.toMatchObject({ reason: 'trailing' });
  });
});

describe('a failing source', () => {
  const failure = new Error('connection reset');

  it('ends the stream with its error and without a final frame during writing', async () => {
    const written: Buffer[] = [];
    const source = new Watched(chunksOf(text.subarray(0, 250), 50), failure);
    const drain = async (): Promise<void> => {
      for await (const chunk of encryptStream(keyOf(), source, { frameBytes: FRAME_BYTES })) written.push(chunk);
    };
    await expect(drain()).rejects.toBe(failure);
    const cut = Buffer.concat(written);
    expect(cut.length).toBe(message.length - 90 - 8 * 132);
    expectRefusalError(await decryptMessage(cut, unwrap).catch((error: unknown) => error), 'truncated');
  });

  it.each([0, 1, 100, 500])('ends the stream with its error during reading, after %i bytes', async (length) => {
    const source = new Watched(chunksOf(message.subarray(0, length), 50), failure);
    await expect(gather(decryptStream(source, unwrap))).rejects.toBe(failure);
    expect(source.ended).toBe('failed');
  });
});

describe('a source is closed', () => {
  it.each([1, 2, 5])('when the consumer stops after %i written chunks', async (count) => {
    const source = new Watched(chunksOf(text, 50));
    const stream = encryptStream(keyOf(), source, { frameBytes: FRAME_BYTES });
    for (let index = 0; index < count; index += 1) await stream.next();
    await stream.return();
    await stream.return();
    expect(source.ended).toBe('returned');
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it.each([1, 5])('when the consumer stops after %i read frames', async (count) => {
    const source = new Watched(chunksOf(message, 50));
    const stream = decryptStream(source, unwrap);
    for (let index = 0; index < count; index += 1) await stream.next();
    await stream.return();
    await stream.return();
    expect(source.ended).toBe('returned');
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('when the message is rejected', async () => {
    const source = new Watched([Buffer.from([1]), text]);
    expectRefusalError(await gather(decryptStream(source, unwrap)).catch((error: unknown) => error));
    expect(source.ended).toBe('returned');
  });

  it("when unwrap fails, and the error of unwrap is thrown regardless of the source's", async () => {
    const denied = new Error('denied');
    const source = new Watched(chunksOf(message, 50), undefined, () => Promise.reject(new Error('cannot close')));
    await expect(gather(decryptStream(source, () => Promise.reject(denied)))).rejects.toBe(denied);
    expect(source.ended).toBe('returned');
  });

  it('once if it has ended', async () => {
    const source = new Watched(chunksOf(message, 1));
    expect(await gather(decryptStream(source, unwrap))).toEqual(text);
    expect(source.ended).toBe('drained');
  });

  it('by destroy() if it is a Node stream', async () => {
    const source = Readable.from(chunksOf(message, 50));
    for await (const frame of decryptStream(source, unwrap)) {
      expect(frame).toEqual(text.subarray(0, FRAME_BYTES));
      break;
    }
    expect(source.destroyed).toBe(true);
  });

  it('without a start when the message cannot be written', async () => {
    const source = new Watched(chunksOf(text, 50));
    await expect(encryptStream(keyOf({ '': '' }), source).next()).rejects.toThrow(/empty/);
    expect(source.given).toBe(0);
  });
});

describe('a header', () => {
  const header = { arn: ARN, wrapped: WRAPPED, context: { ...CONTEXT }, frameBytes: FRAME_BYTES };
  const headerBytes = messageBytes(keyOf(), 0, { frameBytes: FRAME_BYTES }) - 40;

  it('is read from the first bytes of a message, without a data key', () => {
    expect({ ...readHeader(message.subarray(0, headerBytes)) }).toEqual(header);
  });

  it('is rejected as truncated when its last byte is missing', () => {
    const refused = expect.objectContaining({ code: 'OBJECT_TAMPERED', reason: 'truncated' }) as Error;
    expect(() => readHeader(message.subarray(0, headerBytes - 1))).toThrow(refused);
  });

  it('is read from a stream, with no more bytes than needed, and ends on close', async () => {
    const source = new Watched(chunksOf(message, headerBytes));
    const received = await receiveMessage(source);
    expect({ ...received.header }).toEqual(header);
    expect(source).toMatchObject({ given: 1, ended: 'no' });
    await received.close();
    expect(source).toMatchObject({ given: 1, ended: 'returned' });
  });

  it('is followed by the full plaintext when the received message is decrypted', async () => {
    const received = await receiveMessage(inChunks(message, 7));
    expect(await gather(received.decrypt(unwrap))).toEqual(text);
  });

  it('closes the source when it is rejected', async () => {
    const source = new Watched([Buffer.from('no message'), message]);
    await expect(receiveMessage(source)).rejects.toMatchObject({
      code: 'OBJECT_TAMPERED',
      reason: 'unsupported-version',
    });
    expect(source.ended).toBe('returned');
  });
});
