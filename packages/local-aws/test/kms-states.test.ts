// What every call answers in every state of a key.
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

/** What all cryptographic calls on a key answer; they must agree. */
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

test.each(states)('Every cryptographic call on a key that is %s answers %s', async (state, answer) => {
  const KeyId = server.createKey();
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
  server.setState(KeyId, state);
  expect(await cryptographic(KeyId, CiphertextBlob)).toEqual([answer.replace('KEY', KeyId)]);
});

test.each(states)('DescribeKey works on a key that is %s and tells so', async (state) => {
  const KeyId = server.createKey();
  server.setState(KeyId, state);
  const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
  expect(KeyMetadata?.KeyState).toBe(state);
  expect(KeyMetadata?.Enabled).toBe(state === 'Enabled');
  expect(KeyMetadata?.DeletionDate !== undefined).toBe(state === 'PendingDeletion');
});

test('A key that is pending deletion can answer DisabledException, as AWS documents too', async () => {
  const KeyId = server.createKey();
  server.scheduleDeletion(KeyId, { days: 7, answers: 'DisabledException' });
  const call = client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
  expect(await answerOf(call)).toBe(`DisabledException: ${KeyId} is pending deletion.`);
});

test('A key that is gone is NotFoundException for every call, by its ARN or by what it wrapped', async () => {
  const KeyId = server.createKey();
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
  server.forget(KeyId);
  const gone = `NotFoundException: Key '${KeyId}' does not exist`;
  expect(await cryptographic(KeyId, CiphertextBlob)).toEqual([gone]);
  expect(await answerOf(client.send(new DescribeKeyCommand({ KeyId })))).toBe(gone);
});

test('A key with imported material waits for it', async () => {
  const KeyId = server.createKey({ origin: 'EXTERNAL' });
  expect(server.state(KeyId)).toBe('PendingImport');
  server.setState(KeyId, 'Enabled');
  expect(await answerOf(client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') })))).toBe('ok');
});

test('A key comes back when it is enabled, and what it wrapped before opens', async () => {
  const KeyId = server.createKey();
  const { CiphertextBlob, Plaintext } = await client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }));
  server.disable(KeyId);
  expect(await answerOf(client.send(new DecryptCommand({ CiphertextBlob })))).toMatch(/^DisabledException/);
  server.enable(KeyId);
  expect((await client.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toEqual(Plaintext);
});

test.each(['PendingDeletion', 'PendingImport', 'Unavailable'] as const)(
  'A key that is %s can be neither enabled nor disabled',
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

test('A deletion is scheduled once', async () => {
  const KeyId = server.createKey();
  server.scheduleDeletion(KeyId);
  expect(await answerOf(client.send(new ScheduleKeyDeletionCommand({ KeyId })))).toBe(
    `KMSInvalidStateException: ${KeyId} is pending deletion.`,
  );
  server.cancelDeletion(KeyId);
  expect(() => server.cancelDeletion(KeyId)).toThrow('is not pending deletion');
});
