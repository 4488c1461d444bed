// Interoperability with the official AWS Encryption SDK: each reads the other's messages, with the SDK's KMS keyring.
import { AlgorithmSuiteIdentifier, CommitmentPolicy, KmsKeyringNode, buildClient } from '@aws-crypto/client-node';
import type { KmsKeyringNodeInput } from '@aws-crypto/client-node';
import { describe, expect, it } from 'vitest';
import { decryptMessage, decryptStream, encryptMessage, encryptStream } from '../../src/envelope/message.ts';
import type { EncryptionContext } from '../../src/envelope/message.ts';
import { ARN, DATA_KEY, gather, inChunks, keyOf, noise, planOf, unwrap } from './fixture.ts';
import { pairs, referenceMessage, sortedPairs } from './reference.ts';

const MIB = 1024 * 1024;
const WRAPPED = noise(184);
const official = buildClient({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: 1,
});

type KmsClient = Exclude<ReturnType<NonNullable<KmsKeyringNodeInput['clientProvider']>>, false>;

/** KMS as the keyring sees it: one key and one data key, bound to one context, or to any. */
function kms(context?: EncryptionContext): KmsClient {
  const answer = (request: { KeyId?: string; EncryptionContext?: Readonly<Record<string, string>> }) => {
    expect(request.KeyId).toBe(ARN);
    if (context) expect({ ...request.EncryptionContext }).toEqual({ ...context });
    return Promise.resolve({ KeyId: ARN, Plaintext: Uint8Array.from(DATA_KEY), CiphertextBlob: WRAPPED });
  };
  return {
    generateDataKey: answer,
    encrypt: answer,
    decrypt: (request: Parameters<KmsClient['decrypt']>[0]) => {
      expect(Buffer.from(request.CiphertextBlob)).toEqual(WRAPPED);
      return answer(request);
    },
  };
}

const keyring = (context?: EncryptionContext): KmsKeyringNode =>
  new KmsKeyringNode({ clientProvider: () => kms(context), generatorKeyId: ARN });

const CONTEXTS: readonly (readonly [string, EncryptionContext])[] = [
  ['no context', {}],
  ['the context of sealdex', { tenant: 't-42', period: '2026-11-23T17:41Z', purpose: 'documents' }],
  ['keys of several bytes', { é: 'x', tenant: 'ü', ключ: '鍵', a: '' }],
  ['keys that UTF-16 sorts otherwise', { '\u{1f600}': '1', '\uff5e': '2', '\ue000': '3', '\u{10ffff}': '4' }],
];
const SHAPES = [1, 16, 4096, 65_536, MIB, 16 * MIB].flatMap((frameBytes) =>
  [0, 1, 15, 16, 17, 4095, 4096, 8192, 20_000, 65_536, 131_073]
    .filter((length) => length / frameBytes <= 600)
    .map((length) => ({ frameBytes, length })),
);

const officialMessage = async (
  plaintext: Uint8Array,
  frameLength: number,
  encryptionContext: EncryptionContext,
): Promise<Buffer> => {
  const { result } = await official.encrypt(keyring(encryptionContext), plaintext, {
    suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
    frameLength,
    encryptionContext,
  });
  return result;
};

describe.each(CONTEXTS)('a message with %s', (_, context) => {
  const key = keyOf(context, { wrapped: WRAPPED });

  it('written by sealdex opens in the official client, whole and streamed, at every length and frame length', async () => {
    for (const { length, frameBytes } of SHAPES) {
      const plaintext = noise(length, length + 1);
      const streamed = await gather(encryptStream(key, inChunks(plaintext, 4000), { frameBytes }));
      for (const message of [encryptMessage(key, plaintext, { frameBytes }), streamed]) {
        const opened = await official.decrypt(keyring(context), message);
        expect(opened.plaintext.equals(plaintext)).toBe(true);
        expect({ ...opened.messageHeader.encryptionContext }).toEqual({ ...context });
        expect(opened.messageHeader.frameLength).toBe(frameBytes);
      }
    }
  });

  it('written by the official client opens in sealdex, whole and streamed, at every length and frame length', async () => {
    for (const { length, frameBytes } of SHAPES) {
      const plaintext = noise(length, length + 2);
      const message = await officialMessage(plaintext, frameBytes, context);
      const read = await decryptMessage(message, (header) => {
        expect({ ...header, context: { ...header.context } }).toEqual({
          arn: ARN,
          wrapped: WRAPPED,
          context: { ...context },
          frameBytes,
        });
        return key;
      });
      expect(read.equals(plaintext)).toBe(true);
      expect((await gather(decryptStream(inChunks(message, 1000), unwrap))).equals(plaintext)).toBe(true);
    }
  });

  it('has the same bytes from both under one message id', async () => {
    for (const length of [0, 1, 7, 8, 16, 20]) {
      const plaintext = noise(length);
      const theirs = await officialMessage(plaintext, 8, context);
      const message = encryptMessage(key, plaintext, { frameBytes: 8 });
      const written = (message: Buffer): Buffer =>
        referenceMessage(
          planOf(plaintext, 8, {
            messageId: message.subarray(3, 35),
            context: sortedPairs(context),
            edks: [{ provider: 'aws-kms', info: ARN, ciphertext: WRAPPED }],
          }),
        );
      expect(theirs).toEqual(written(theirs));
      expect(message).toEqual(written(message));
    }
  });
});

describe('an unsorted context', () => {
  it('opens in both', async () => {
    const plaintext = noise(100);
    const message = referenceMessage(
      planOf(plaintext, 64, {
        context: pairs(['z', '1'], ['a', '2'], ['m', '3']),
        edks: [{ provider: 'aws-kms', info: ARN, ciphertext: WRAPPED }],
      }),
    );
    expect(await decryptMessage(message, unwrap)).toEqual(plaintext);
    const opened = await official.decrypt(keyring({ z: '1', a: '2', m: '3' }), message);
    expect(opened.plaintext).toEqual(plaintext);
  });
});

describe('the official client', () => {
  it('rejects a message of sealdex with one bit changed, or truncated', async () => {
    const key = keyOf({ tenant: 't' }, { wrapped: WRAPPED });
    const message = encryptMessage(key, noise(40), { frameBytes: 16 });
    const opened = async (bytes: Buffer): Promise<string> =>
      official.decrypt(keyring({ tenant: 't' }), bytes).then(
        () => 'opened',
        () => 'refused',
      );
    for (const at of [3, 200, message.length - 1]) {
      const bytes = Buffer.from(message);
      bytes[at]! ^= 1;
      expect(await opened(bytes)).toBe('refused');
    }
    expect(await opened(message.subarray(0, -1))).toBe('refused');
    expect(await opened(message)).toBe('opened');
  });

  it('writes by default the suite with a signature, which sealdex rejects', async () => {
    const { result } = await official.encrypt(keyring(), noise(10), { encryptionContext: { tenant: 't' } });
    await expect(decryptMessage(result, unwrap)).rejects.toMatchObject({ reason: 'unsupported-suite' });
  });
});
