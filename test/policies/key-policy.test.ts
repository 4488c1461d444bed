// The printed key policy, on a key of the local KMS: it allows exactly the calls for this tenant.
import {
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GetKeyPolicyCommand,
  KMSClient,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KmsServer, startKms } from '@sealdex/local-aws';
import { isRoleArn, keyPolicy, type KeyPolicyChoice } from '../../src/policies/key-policy.ts';

const OURS = 'arn:aws:iam::444455556666:role/service/sealdex';
const SIBLING = 'arn:aws:iam::444455556666:role/other';
const OWNER = '111122223333';

let kms: KmsServer;
const clients = new Map<string, KMSClient>();

beforeAll(async () => {
  kms = await startKms();
  for (const accessKeyId of [OURS, SIBLING, 'local'])
    clients.set(
      accessKeyId,
      new KMSClient({
        endpoint: kms.endpoint,
        region: kms.region,
        credentials: { accessKeyId, secretAccessKey: 'x' },
        maxAttempts: 1,
      }),
    );
});
afterAll(async () => {
  for (const client of clients.values()) client.destroy();
  await kms.stop();
});

const keyWith = (choice: Partial<KeyPolicyChoice> = {}): string =>
  kms.createKey({ policy: JSON.stringify(keyPolicy({ principal: OURS, tenant: 'acme', ...choice }, OWNER)) });

const contextOf = (tenant: string) => ({ tenant, period: '2026-11-23T17:41Z', purpose: 'documents' });

/** The allowed calls with a key, for a caller and a context. */
async function answered(KeyId: string, EncryptionContext: Record<string, string>, as = OURS): Promise<string[]> {
  const client = clients.get(as)!;
  const owner = clients.get('local')!;
  const Plaintext = Buffer.from('x');
  const { CiphertextBlob } = await owner.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
  const moved = {
    SourceEncryptionContext: EncryptionContext,
    DestinationEncryptionContext: EncryptionContext,
    DestinationKeyId: KeyId,
  };
  const calls = {
    Encrypt: client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext })),
    Decrypt: client.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext })),
    ReEncrypt: client.send(new ReEncryptCommand({ CiphertextBlob, ...moved })),
    GenerateDataKey: client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext })),
    GenerateDataKeyWithoutPlaintext: client.send(
      new GenerateDataKeyWithoutPlaintextCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }),
    ),
    DescribeKey: client.send(new DescribeKeyCommand({ KeyId })),
    GetKeyPolicy: client.send(new GetKeyPolicyCommand({ KeyId })),
    DisableKey: as === 'local' ? Promise.reject(new Error('kept')) : client.send(new DisableKeyCommand({ KeyId })),
    ScheduleKeyDeletion:
      as === 'local' ? Promise.reject(new Error('kept')) : client.send(new ScheduleKeyDeletionCommand({ KeyId })),
  };
  const ended = await Promise.allSettled(Object.values(calls));
  return Object.keys(calls).filter((_name, at) => ended[at]?.status === 'fulfilled');
}

const USES = ['Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'];

test.each([
  ['with the role as principal', false],
  ['with the account as principal and the role in a condition', true],
])(
  'calls for the tenant are allowed, and for another tenant or without a context denied: %s',
  async (_name, byCondition) => {
    const key = keyWith({ byCondition });
    expect(await answered(key, contextOf('acme'))).toEqual([...USES, 'DescribeKey']);
    for (const context of [contextOf('other'), contextOf('acme2'), { purpose: 'documents' }, {}])
      expect(await answered(key, context)).toEqual(['DescribeKey']);
    expect(await answered(key, contextOf('acme'), SIBLING)).toEqual([]);
  },
);

test.each([false, true])(
  'calls for every tenant are allowed without the context, but for no other role (by condition: %s)',
  async (byCondition) => {
    const key = keyWith({ withoutContext: true, byCondition });
    expect(await answered(key, contextOf('other'))).toEqual([...USES, 'DescribeKey']);
    expect(await answered(key, contextOf('other'), SIBLING)).toEqual([]);
  },
);

test('the owner keeps control of the key', async () => {
  expect(await answered(keyWith(), contextOf('other'), 'local')).toEqual([...USES, 'DescribeKey', 'GetKeyPolicy']);
});

test('a role must be named by its ARN', () => {
  expect([OURS, 'arn:aws-us-gov:iam::111122223333:role/a'].filter(isRoleArn)).toHaveLength(2);
  const others = [
    'arn:aws:iam::444455556666:user/a',
    'arn:aws:iam::444455556666:root',
    'arn:aws:sts::444455556666:assumed-role/a/b',
    'arn:aws:iam::4444:role/a',
    'arn:aws:iam::444455556666:role/',
    'arn:aws:iam::444455556666:role/*',
    ' arn:aws:iam::444455556666:role/a',
    '',
  ];
  expect(others.filter(isRoleArn)).toEqual([]);
});
