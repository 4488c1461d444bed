// The log of the local KMS: each call as a CloudTrail event, for the caller's account and the key's.
import {
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  ListKeysCommand,
  ReEncryptCommand,
} from '@aws-sdk/client-kms';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KMS_ERRORS } from '../src/kms/fault-injection.ts';
import { type KmsServer, startKms } from '../src/kms/server.ts';
import { kmsClient } from './clients.ts';

const EncryptionContext = { tenant: 'acme', period: '2026-11-23T17:41Z', purpose: 'documents' };
const OURS = '111122223333';
const THEIRS = '444455556666';

let kms: KmsServer;
let client: KMSClient;
let KeyId: string;

beforeEach(async () => {
  kms = await startKms();
  client = kmsClient(kms);
  KeyId = kms.createKey();
});

afterEach(async () => {
  client.destroy();
  await kms.stop();
});

interface Outcome {
  readonly name: string;
  readonly requestId: string | undefined;
}

/** How a call ended for the client. */
const outcomeOf = (call: Promise<{ $metadata: { requestId?: string | undefined } }>): Promise<Outcome> =>
  call.then(
    ({ $metadata }) => ({ name: 'ok', requestId: $metadata.requestId }),
    (error: { name: string; $metadata?: { requestId?: string } }) => ({
      name: error.name,
      requestId: error.$metadata?.requestId,
    }),
  );

const dataKey = (by = client) => by.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }));

test('a call is an event with its keys, context, caller and request id, and without secrets', async () => {
  const { $metadata, Plaintext, CiphertextBlob } = await dataKey();
  expect(kms.trail()).toEqual([
    {
      eventVersion: '1.11',
      userIdentity: {
        type: 'AssumedRole',
        principalId: 'sealdex:local',
        arn: `arn:aws:sts::${OURS}:assumed-role/sealdex/local`,
        accountId: OURS,
      },
      eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      eventSource: 'kms.amazonaws.com',
      eventName: 'GenerateDataKey',
      awsRegion: 'us-west-2',
      sourceIPAddress: '127.0.0.1',
      userAgent: expect.stringContaining('aws-sdk-js'),
      requestParameters: { keyId: KeyId, keySpec: 'AES_256', encryptionContext: EncryptionContext },
      responseElements: null,
      requestID: $metadata.requestId,
      eventID: expect.stringMatching(/^[0-9a-f-]{36}$/),
      readOnly: true,
      resources: [{ accountId: OURS, type: 'AWS::KMS::Key', ARN: KeyId }],
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: OURS,
      eventCategory: 'Management',
    },
  ]);
  expect($metadata.requestId).toMatch(/^[0-9a-f-]{36}$/);
  const text = JSON.stringify(kms.trail());
  for (const bytes of [Plaintext, CiphertextBlob]) expect(text).not.toContain(Buffer.from(bytes!).toString('base64'));
});

test('every operation has the parameters that CloudTrail shows', async () => {
  const other = kms.createKey();
  const { CiphertextBlob } = await client.send(
    new EncryptCommand({ KeyId, Plaintext: Buffer.from('x'), EncryptionContext }),
  );
  await client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
  await client.send(
    new ReEncryptCommand({
      CiphertextBlob,
      SourceEncryptionContext: EncryptionContext,
      DestinationKeyId: other,
      DestinationEncryptionContext: { level: '3A' },
    }),
  );
  await client.send(new DescribeKeyCommand({ KeyId: KeyId.slice(KeyId.lastIndexOf('/') + 1) }));
  await client.send(new DisableKeyCommand({ KeyId: other }));
  await client.send(new ListKeysCommand({}));
  const seen = kms
    .trail()
    .map(({ eventName, requestParameters, resources, readOnly }) => [
      eventName,
      requestParameters,
      (resources as { ARN: string }[] | undefined)?.map(({ ARN }) => ARN),
      readOnly,
    ]);
  const algorithm = { encryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
  expect(seen).toEqual([
    ['Encrypt', { ...algorithm, keyId: KeyId, encryptionContext: EncryptionContext }, [KeyId], true],
    ['Decrypt', { ...algorithm, encryptionContext: EncryptionContext }, [KeyId], true],
    [
      'ReEncrypt',
      {
        sourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        sourceEncryptionContext: EncryptionContext,
        destinationKeyId: other,
        destinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        destinationEncryptionContext: { level: '3A' },
      },
      [KeyId, other],
      true,
    ],
    ['DescribeKey', { keyId: KeyId.slice(KeyId.lastIndexOf('/') + 1) }, [KeyId], true],
    ['DisableKey', { keyId: other }, [other], false],
    ['ListKeys', null, undefined, true],
  ]);
});

test('a rejected call is logged with its error, and the client receives the same request id', async () => {
  kms.disable(KeyId);
  const { name, requestId } = await outcomeOf(dataKey());
  expect(name).toBe('DisabledException');
  expect(kms.trail()).toMatchObject([
    { requestID: requestId, errorCode: 'DisabledException', errorMessage: `${KeyId} is disabled.` },
  ]);
});

test('a denied call is logged with the error of CloudTrail, without parameters and resources', async () => {
  kms.faults.set({ match: { key: KeyId }, fault: KMS_ERRORS.accessDenied });
  const { name, requestId } = await outcomeOf(dataKey());
  expect(name).toBe('AccessDeniedException');
  const [event] = kms.trail();
  expect(event).toMatchObject({ requestID: requestId, errorCode: 'AccessDenied', requestParameters: null });
  expect(event).not.toHaveProperty('resources');
});

test.each([
  ['throttled', KMS_ERRORS.throttled],
  ['unknown credentials', KMS_ERRORS.unknownCredentials],
  ['expired credentials', KMS_ERRORS.expiredCredentials],
] as const)('a failed call (%s) has a request id and no event', async (_, fault) => {
  kms.faults.set({ match: { key: KeyId }, fault });
  expect((await outcomeOf(dataKey())).requestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(kms.trail()).toEqual([]);
});

test('a call from another account is in both trails, and named only in its own; denied calls are only there', async () => {
  const theirs = new KMSClient({
    endpoint: kms.endpoint,
    region: kms.region,
    credentials: { accessKeyId: `arn:aws:iam::${THEIRS}:role/theirs`, secretAccessKey: 'local' },
    maxAttempts: 1,
  });
  expect((await outcomeOf(dataKey(theirs))).name).toBe('AccessDeniedException');
  expect(kms.trail()).toEqual([]);
  expect(kms.trail(THEIRS)).toMatchObject([{ errorCode: 'AccessDenied', recipientAccountId: THEIRS }]);
  kms.setPolicy(KeyId, {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${THEIRS}:root` }, Action: 'kms:*', Resource: '*' },
      { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${OURS}:root` }, Action: 'kms:*', Resource: '*' },
    ],
  });
  await dataKey(theirs);
  theirs.destroy();
  const [ofKey] = kms.trail();
  const ofCaller = kms.trail(THEIRS)[1];
  expect(ofKey?.['userIdentity']).toEqual({ type: 'AWSAccount', principalId: 'theirs:local', accountId: THEIRS });
  expect(ofCaller?.['userIdentity']).toMatchObject({ arn: `arn:aws:sts::${THEIRS}:assumed-role/theirs/local` });
  expect(ofKey).toMatchObject({ requestID: ofCaller?.requestID, sharedEventID: ofCaller?.['sharedEventID'] });
  expect(ofKey?.eventID).not.toBe(ofCaller?.eventID);
});

test('a trail with a file appends its events, and replaces a file of 10 MB once', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  const trailFile = join(dir, 'deep', 'cloudtrail.jsonl');
  const kept = await startKms({ trailFile });
  const keptClient = kmsClient(kept);
  try {
    const describe = new DescribeKeyCommand({ KeyId: kept.createKey() });
    await keptClient.send(describe);
    await keptClient.send(describe);
    const lines = (await readFile(trailFile, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(kept.trail());
    await writeFile(trailFile, Buffer.alloc(10_000_000, '\n'));
    await keptClient.send(describe);
    expect((await stat(join(dir, 'deep', 'cloudtrail.1.jsonl'))).size).toBe(10_000_000);
    expect((await readFile(trailFile, 'utf8')).trimEnd().split('\n')).toHaveLength(1);
  } finally {
    keptClient.destroy();
    await kept.stop();
    await rm(dir, { recursive: true });
  }
});
