// Every action of the local KMS through the real client, and rejected requests.
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  type KMSClient,
  ListKeysCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KmsServer, startKms } from '../src/kms/server.ts';
import { kmsClient } from './clients.ts';

const EncryptionContext = { tenant: 'acme', period: '2026-11-23T17:41Z', purpose: 'documents' };
let server: KmsServer;
let client: KMSClient;
let KeyId: string;

beforeAll(async () => {
  server = await startKms();
  client = kmsClient(server);
  KeyId = server.createKey();
});

afterAll(async () => {
  client.destroy();
  await Promise.all([server.stop(), server.stop()]);
});

const nameOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => error.name,
  );

const dataKey = () => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }));

test('GenerateDataKey returns 32 new bytes, wrapped in 184, under the ARN', async () => {
  const [one, two] = await Promise.all([dataKey(), dataKey()]);
  expect(one.Plaintext).toHaveLength(32);
  expect(one.CiphertextBlob).toHaveLength(184);
  expect(one.KeyId).toBe(KeyId);
  expect(one.Plaintext).not.toEqual(two.Plaintext);
  expect(KeyId).toMatch(/^arn:aws:kms:us-west-2:\d{12}:key\/[0-9a-f-]{36}$/);
});

test('a wrapped key unwraps under its own context in any order, with and without KeyId', async () => {
  const { CiphertextBlob, Plaintext } = await dataKey();
  const reversed = Object.fromEntries(Object.entries(EncryptionContext).toReversed());
  const given = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId }));
  const found = await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: reversed }));
  expect([given.Plaintext, given.KeyId, found.Plaintext, found.KeyId]).toEqual([Plaintext, KeyId, Plaintext, KeyId]);
});

test.each([
  ['another tenant', { ...EncryptionContext, tenant: 'other' }],
  ['one pair more', { ...EncryptionContext, more: '1' }],
  ['one pair less', { tenant: 'acme' }],
  ['none', undefined],
])('a wrapped key does not unwrap under another context: %s', async (_name, context) => {
  const { CiphertextBlob } = await dataKey();
  const call = client.send(
    new DecryptCommand({ CiphertextBlob, ...(context === undefined ? {} : { EncryptionContext: context }) }),
  );
  expect(await nameOf(call)).toBe('InvalidCiphertextException');
});

test('a wrapped key with any byte changed, truncated or invented does not unwrap', async () => {
  const { CiphertextBlob = new Uint8Array() } = await dataKey();
  const changed = [0, 4, 100, 123, 124, 140, 183].map((index) =>
    CiphertextBlob.with(index, (CiphertextBlob[index] ?? 0) ^ 1),
  );
  for (const blob of [...changed, CiphertextBlob.subarray(0, 183), CiphertextBlob.subarray(0, 20), Buffer.from('x')]) {
    const call = client.send(new DecryptCommand({ CiphertextBlob: blob, EncryptionContext }));
    expect(await nameOf(call)).toBe('InvalidCiphertextException');
  }
});

test('another KeyId than that of the wrapped key is IncorrectKeyException', async () => {
  const { CiphertextBlob } = await dataKey();
  const call = client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId: server.createKey() }));
  expect(await nameOf(call)).toBe('IncorrectKeyException');
});

test('GenerateDataKeyWithoutPlaintext returns only the wrapped key', async () => {
  const made = await client.send(
    new GenerateDataKeyWithoutPlaintextCommand({ KeyId, NumberOfBytes: 64, EncryptionContext }),
  );
  expect(made).not.toHaveProperty('Plaintext');
  const { Plaintext } = await client.send(
    new DecryptCommand({ CiphertextBlob: made.CiphertextBlob, EncryptionContext }),
  );
  expect(Plaintext).toHaveLength(64);
});

test('Encrypt and ReEncrypt produce bytes for the new key and context only', async () => {
  const Plaintext = Buffer.from('secret');
  const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
  const DestinationKeyId = server.createKey();
  const moved = await client.send(
    new ReEncryptCommand({
      CiphertextBlob,
      SourceEncryptionContext: EncryptionContext,
      DestinationKeyId,
      DestinationEncryptionContext: { tenant: 'next' },
    }),
  );
  expect([moved.SourceKeyId, moved.KeyId]).toEqual([KeyId, DestinationKeyId]);
  const blob = { CiphertextBlob: moved.CiphertextBlob };
  const opened = await client.send(new DecryptCommand({ ...blob, EncryptionContext: { tenant: 'next' } }));
  expect(Buffer.from(opened.Plaintext ?? [])).toEqual(Plaintext);
  expect(await nameOf(client.send(new DecryptCommand({ ...blob, EncryptionContext })))).toBe(
    'InvalidCiphertextException',
  );
});

test('CreateKey and DescribeKey return the facts needed for onboarding', async () => {
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: 'mine', MultiRegion: true }));
  expect(KeyMetadata?.KeyId).toMatch(/^mrk-[0-9a-f]{32}$/);
  const described = await client.send(new DescribeKeyCommand({ KeyId: KeyMetadata?.KeyId }));
  expect(described.KeyMetadata).toEqual(KeyMetadata);
  expect(KeyMetadata).toMatchObject({
    Arn: `arn:aws:kms:us-west-2:111122223333:key/${KeyMetadata?.KeyId}`,
    Description: 'mine',
    Enabled: true,
    KeySpec: 'SYMMETRIC_DEFAULT',
    KeyState: 'Enabled',
    KeyUsage: 'ENCRYPT_DECRYPT',
    MultiRegion: true,
    Origin: 'AWS_KMS',
  });
  const sign = server.createKey({ keySpec: 'RSA_2048', keyUsage: 'SIGN_VERIFY', customKeyStoreId: 'cks-1' });
  expect((await client.send(new DescribeKeyCommand({ KeyId: sign }))).KeyMetadata).toMatchObject({
    KeySpec: 'RSA_2048',
    KeyUsage: 'SIGN_VERIFY',
    CustomKeyStoreId: 'cks-1',
  });
  expect(await nameOf(client.send(new GenerateDataKeyCommand({ KeyId: sign, KeySpec: 'AES_256' })))).toBe(
    'InvalidKeyUsageException',
  );
});

test('a key can be disabled, enabled and scheduled for deletion, and is disabled after a cancelled deletion', async () => {
  const key = { KeyId: server.createKey() };
  const state = async () => (await client.send(new DescribeKeyCommand(key))).KeyMetadata?.KeyState;
  await client.send(new DisableKeyCommand(key));
  expect(await state()).toBe('Disabled');
  await client.send(new EnableKeyCommand(key));
  expect(await state()).toBe('Enabled');
  const scheduled = await client.send(new ScheduleKeyDeletionCommand({ ...key, PendingWindowInDays: 7 }));
  const described = (await client.send(new DescribeKeyCommand(key))).KeyMetadata;
  expect(described).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate: scheduled.DeletionDate });
  await client.send(new CancelKeyDeletionCommand(key));
  expect(await state()).toBe('Disabled');
});

test('ListKeys returns pages', async () => {
  const found: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const page = await client.send(new ListKeysCommand({ Limit: 2, ...(Marker === undefined ? {} : { Marker }) }));
    found.push(...(page.Keys ?? []).map((key) => key.KeyArn));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  expect(found).toEqual(server.keys().map((key) => key.arn));
});

test('an unknown key is NotFoundException, and an invalid ARN is InvalidArnException', async () => {
  const describe = (KeyId: string) => nameOf(client.send(new DescribeKeyCommand({ KeyId })));
  expect(await describe('arn:aws:kms:us-west-2:111122223333:key/1')).toBe('NotFoundException');
  expect(await describe(KeyId.replace('us-west-2', 'eu-west-1'))).toBe('NotFoundException');
  expect(await describe('alias/mine')).toBe('NotFoundException');
  expect(await describe('arn:aws:s3:::bucket')).toBe('InvalidArnException');
});

test('a request outside of the service model is rejected with the error of AWS', async () => {
  const context = { EncryptionContext: { tenant: 1 } } as unknown as { EncryptionContext: Record<string, string> };
  const calls = [
    client.send(new GenerateDataKeyCommand({ KeyId })),
    client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', NumberOfBytes: 32 })),
    client.send(new GenerateDataKeyCommand({ KeyId, NumberOfBytes: 1025 })),
    client.send(new GenerateDataKeyCommand({ KeyId: '', KeySpec: 'AES_256' })),
    client.send(new EncryptCommand({ KeyId, Plaintext: Buffer.alloc(4097) })),
    client.send(new DecryptCommand({ CiphertextBlob: new Uint8Array() })),
    client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 3 })),
    client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', ...context })),
  ];
  expect(await Promise.all(calls.map(nameOf))).toEqual([
    ...Array.from({ length: 7 }, () => 'ValidationException'),
    'SerializationException',
  ]);
});

test('an unsupported action is UnknownOperationException', async () => {
  expect(await nameOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1 })))).toBe('UnknownOperationException');
});

test('a dry run changes nothing and returns DryRunOperationException', async () => {
  const call = (KeyId: string) => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', DryRun: true }));
  expect(await nameOf(call(KeyId))).toBe('DryRunOperationException');
  const disabled = server.createKey();
  server.disable(disabled);
  expect(await nameOf(call(disabled))).toBe('DisabledException');
});

test('errors have a request id, and a request without credentials is rejected', async () => {
  await expect(client.send(new DescribeKeyCommand({ KeyId: 'none' }))).rejects.toMatchObject({
    $metadata: { requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), httpStatusCode: 400 },
  });
  const answer = await fetch(server.endpoint, {
    method: 'POST',
    headers: { 'x-amz-target': 'TrentService.ListKeys' },
    body: '{}',
  });
  expect(await answer.json()).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
});

test('keys and their states survive a restart, in a file with access for its owner only', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  const stateFile = join(dir, 'kms', 'keys.json');
  try {
    const first = await startKms({ stateFile });
    const [arn, disabled, gone] = [first.createKey({ description: 'a' }), first.createKey(), first.createKey()];
    const before = kmsClient(first);
    const { CiphertextBlob, Plaintext } = await before.send(
      new GenerateDataKeyCommand({ KeyId: arn, KeySpec: 'AES_256' }),
    );
    before.destroy();
    first.disable(disabled);
    first.forget(gone);
    await first.stop();
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(dir, 'kms'))).toEqual(['keys.json']);

    const second = await startKms({ stateFile });
    expect(second.keys()).toEqual([
      { arn, state: 'Enabled', description: 'a' },
      { arn: disabled, state: 'Disabled', description: '' },
    ]);
    const after = kmsClient(second);
    expect((await after.send(new DecryptCommand({ CiphertextBlob }))).Plaintext).toEqual(Plaintext);
    after.destroy();
    await second.stop();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
