// The result of every call in every state of a key.
import {
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  type KMSClient,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KeyState } from '../src/kms/keys.ts';
import { type KmsServer, startKms } from '../src/kms/server.ts';
import { kmsClient } from './clients.ts';

let server: KmsServer;
let client: KMSClient;

beforeAll(async () => {
  server = await startKms();
  client = kmsClient(server);
});

afterAll(async () => {
  client.destroy();
  await server.stop();
});

const answerOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => `${error.name}: ${error.message}`,
  );

/** The common result of all cryptographic calls on a key; they must agree. */
async function cryptographic(KeyId: string, CiphertextBlob: Uint8Array | undefined): Promise<string[]> {
  const other = server.createKey();
  const foreign = await client.send(new EncryptCommand({ KeyId: other, Plaintext: Buffer.from('x') }));
  const answers = await Promise.all(
    [
      client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' })),
      client.send(new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_256' })),
      client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') })),
      client.send(new DecryptCommand({ CiphertextBlob })),
      client.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: other })),
      client.send(new ReEncryptCommand({ CiphertextBlob: foreign.CiphertextBlob, DestinationKeyId: KeyId })),
    ].map(answerOf),
  );
  return [...new Set(answers)];
}

const states: [KeyState, string][] = [
  ['Enabled', 'ok'],
  ['Updating', 'ok'],
  ['Disabled', 'DisabledException: KEY is disabled.'],
  ['PendingDeletion', 'KMSInvalidStateException: KEY is pending deletion.'],
  ['PendingImport', 'KMSInvalidStateException: KEY is pending import.'],
  ['PendingReplicaDeletion', 'KMSInvalidStateException: KEY is pending replica deletion.'],
  ['Unavailable', 'KMSInvalidStateException: KEY is unavailable.'],
  ['Creating', 'KMSInvalidStateException: KEY is creating.'],
];

test.each(states)('every cryptographic call on a key in state %s returns %s', async (state, answer) => {
  const KeyId = server.createKey();
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
  server.setState(KeyId, state);
  expect(await cryptographic(KeyId, CiphertextBlob)).toEqual([answer.replace('KEY', KeyId)]);
});

test.each(states)('DescribeKey works on a key in state %s and returns the state', async (state) => {
  const KeyId = server.createKey();
  server.setState(KeyId, state);
  const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
  expect(KeyMetadata?.KeyState).toBe(state);
  expect(KeyMetadata?.Enabled).toBe(state === 'Enabled');
  expect(KeyMetadata?.DeletionDate !== undefined).toBe(state === 'PendingDeletion');
});

test('a key pending deletion can return DisabledException, as AWS documents too', async () => {
  const KeyId = server.createKey();
  server.scheduleDeletion(KeyId, { days: 7, answers: 'DisabledException' });
  const call = client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
  expect(await answerOf(call)).toBe(`DisabledException: ${KeyId} is pending deletion.`);
});

test('a deleted key is NotFoundException for every call, by its ARN or by its wrapped keys', async () => {
  const KeyId = server.createKey();
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
  server.forget(KeyId);
  const gone = `NotFoundException: Key '${KeyId}' does not exist`;
  expect(await cryptographic(KeyId, CiphertextBlob)).toEqual([gone]);
  expect(await answerOf(client.send(new DescribeKeyCommand({ KeyId })))).toBe(gone);
});

test('a key with external origin is pending until its material is imported', async () => {
  const KeyId = server.createKey({ origin: 'EXTERNAL' });
  expect(server.state(KeyId)).toBe('PendingImport');
  server.setState(KeyId, 'Enabled');
  expect(await answerOf(client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') })))).toBe('ok');
});

test('a key works again when it is enabled, and unwraps earlier keys', async () => {
  const KeyId = server.createKey();
  const { CiphertextBlob, Plaintext } = await client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
  server.disable(KeyId);
  expect(await answerOf(client.send(new DecryptCommand({ CiphertextBlob })))).toMatch(/^DisabledException/);
  server.enable(KeyId);
  expect((await client.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toEqual(Plaintext);
});

test.each(['PendingDeletion', 'PendingImport', 'Unavailable'] as const)(
  'a key in state %s can be neither enabled nor disabled',
  async (state) => {
    const KeyId = server.createKey();
    server.setState(KeyId, state);
    const answers = await Promise.all([
      answerOf(client.send(new EnableKeyCommand({ KeyId }))),
      answerOf(client.send(new DisableKeyCommand({ KeyId }))),
    ]);
    for (const answer of answers) expect(answer).toMatch(/^KMSInvalidStateException/);
    expect(server.state(KeyId)).toBe(state);
  },
);

test('a deletion can be scheduled once', async () => {
  const KeyId = server.createKey();
  server.scheduleDeletion(KeyId);
  expect(await answerOf(client.send(new ScheduleKeyDeletionCommand({ KeyId })))).toBe(
    `KMSInvalidStateException: ${KeyId} is pending deletion.`,
  );
  server.cancelDeletion(KeyId);
  expect(() => server.cancelDeletion(KeyId)).toThrow('is not pending deletion');
});
