// The published vectors of the format page: bytes that never change, read and written by sealdex.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decryptMessage, decryptStream, encryptMessage, encryptStream } from '../../src/envelope/message.ts';
import { deriveMessageKey } from '../../src/envelope/suite.ts';
import { ARN, CONTEXT, DATA_KEY, MESSAGE_ID, WRAPPED, gather, inChunks, keyOf, planOf, unwrap } from './fixture.ts';
import { commitKey, encryptionKey, headerBody, plan, referenceMessage } from './reference.ts';

const GOLDEN = Buffer.from(
  '020478a0a1a2a3a4a5a6a7a8a9aaabacadaeafa0a1a2a3a4a5a6a7a8a9aaabacadaeaf002600030007707572706f7365' +
    '000474657874000674656e616e740004742d34320002c3a9000178000100076177732d6b6d73004b61726e3a6177733a6b6d733a75732d77' +
    '6573742d323a3131313132323232333333333a6b65792f6d726b2d3030303030303030303030303030303030303030303030303030303030' +
    '3030310004deadbeef0200000008c1293fab096adec7e79e1f57ea640e3d4faa8231026517b8ad358e3f4aa3d348b12682bd5071264fbec7' +
    '3f396473985900000001000000000000000000000001471075736120c65252d18700cd1cbac20ac4066a2d67b84600000002000000000000' +
    '0000000000027c0d8010253f71af9ad41eddf90931fbb32faf8a4beb3792ffffffff00000003000000000000000000000003000000024f94' +
    'dfc54169e485adec36d01cffcef0631b',
  'hex',
);
const GOLDEN_TEXT = Buffer.from('hello queue worker');
const EIGHT = Buffer.from('12345678');

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the golden vector', () => {
  it('equals the vector of the format page', () => {
    expect(GOLDEN).toHaveLength(344);
    expect(sha256(GOLDEN)).toBe('c3c2dbf68439d177cfbb6fa1c80d462700ade5c6f7a2d6d4d14f8da82ee278ff');
  });

  it('opens to its context, ARN, wrapped key and frame length, whole and as a stream', async () => {
    const headers: unknown[] = [];
    const text = await decryptMessage(GOLDEN, (header) => {
      headers.push({ ...header, context: { ...header.context } });
      return keyOf();
    });
    expect(text).toEqual(GOLDEN_TEXT);
    expect(await gather(decryptStream(inChunks(GOLDEN), unwrap))).toEqual(GOLDEN_TEXT);
    expect(headers).toEqual([{ arn: ARN, wrapped: WRAPPED, context: CONTEXT, frameBytes: 8 }]);
  });

  it('has the keys derived from its data key and message id', () => {
    const expected = '94a974b7e0623830a60bf53d440418e02f7396a998944c968462ea69cc6414f6';
    const key = deriveMessageKey(DATA_KEY, MESSAGE_ID);
    expect(key.encrypt.export().toString('hex')).toBe(expected);
    expect(key.commit.toString('hex')).toBe('c1293fab096adec7e79e1f57ea640e3d4faa8231026517b8ad358e3f4aa3d348');
    expect(encryptionKey(planOf(GOLDEN_TEXT, 8)).toString('hex')).toBe(expected);
    expect(commitKey(planOf(GOLDEN_TEXT, 8))).toEqual(key.commit);
  });

  it('equals the output of the reference writer of these tests, as do the two further vectors', () => {
    expect(headerBody(planOf(GOLDEN_TEXT, 8))).toHaveLength(222 - 16);
    expect(referenceMessage(planOf(GOLDEN_TEXT, 8))).toEqual(GOLDEN);
    const empty = referenceMessage(planOf(Buffer.alloc(0), 4096));
    expect(empty).toHaveLength(262);
    expect(sha256(empty)).toBe('cc6615a065c4a21ae17ecaec13226a78fb41631495b161d848a1438e43f76f03');
    const eight = referenceMessage(planOf(EIGHT, 8));
    expect(eight).toHaveLength(302);
    expect(sha256(eight)).toBe('4625ca82cd9daa9f59374d70ff68cfffc79bc9dd4d4c244c34173877e2bc7ef2');
  });

  it.each([
    ['the golden text', GOLDEN_TEXT, 8],
    ['an empty plaintext', Buffer.alloc(0), 4096],
    ['a plaintext of exactly one frame', EIGHT, 8],
  ])(
    'has the same bytes as the reference writer for %s under the same message id',
    async (_, plaintext, frameBytes) => {
      for (const message of [
        encryptMessage(keyOf(), plaintext, { frameBytes }),
        await gather(encryptStream(keyOf(), inChunks(plaintext), { frameBytes })),
      ]) {
        const messageId = message.subarray(3, 35);
        expect(message).toEqual(referenceMessage(planOf(plaintext, frameBytes, { messageId })));
      }
    },
  );

  it('opens with a full final frame, as other writers end an exact multiple', async () => {
    const full = referenceMessage(planOf(EIGHT, 8, { content: [{ ...plan(EIGHT, 9)[0]!, kind: 'final' }] }));
    expect(full).toHaveLength(270);
    expect(sha256(full)).toMatch(/^509ba191.*b6cf$/);
    expect(await decryptMessage(full, unwrap)).toEqual(EIGHT);
    expect(await gather(decryptStream(inChunks(full), unwrap))).toEqual(EIGHT);
  });
});
