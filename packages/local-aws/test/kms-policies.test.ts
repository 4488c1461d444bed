// Key policies of the local KMS through the real client: allowed and denied calls, and the text of the denials.
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyPolicyCommand,
  KMSClient,
  PutKeyPolicyCommand,
  ReEncryptCommand,
} from '@aws-sdk/client-kms';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KmsServer, startKms } from '../src/kms/server.ts';

const OURS = 'arn:aws:iam::444455556666:role/ours';
const OTHER = 'arn:aws:iam::444455556666:role/service/other';
const ROOT = 'arn:aws:iam::111122223333:root';
const OWNER = { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' };

const PERIOD = 'kms:EncryptionContext:period';

let server: KmsServer;
const clients = new Map<string, KMSClient>();

beforeAll(async () => {
  server = await startKms();
});
afterAll(async () => {
  for (const client of clients.values()) client.destroy();
  await server.stop();
});

/** A client of that principal; `local` is the owner of all keys. */
function as(principal: string): KMSClient {
  const credentials = { accessKeyId: principal, secretAccessKey: 'local' };
  const known = clients.get(principal);
  const { endpoint, region } = server;
  const client = known ?? new KMSClient({ endpoint, region, credentials, maxAttempts: 1 });
  clients.set(principal, client);
  return client;
}

const policyOf = (...statements: object[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [OWNER, ...statements] });

const allow = (more: object): object => ({ Effect: 'Allow', Principal: { AWS: OURS }, Resource: '*', ...more });

const keyWith = (...statements: object[]): string => server.createKey({ policy: policyOf(...statements) });

type Context = Record<string, string>;

const dataKey = (KeyId: string, EncryptionContext: Context = { tenant: 'acme' }, principal = OURS) =>
  as(principal).send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext }));

const nameOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => error.name.replace('Exception', ''),
  );

const answersOf = (calls: Promise<unknown>[]): Promise<string[]> => Promise.all(calls.map(nameOf));

test('a key without a policy has the default of AWS: its account may do everything, others nothing', async () => {
  const KeyId = server.createKey();
  const { Policy = '', PolicyName } = await as('local').send(new GetKeyPolicyCommand({ KeyId }));
  expect(PolicyName).toBe('default');
  expect(JSON.parse(Policy)).toMatchObject({ Statement: [OWNER] });
  expect(await answersOf([dataKey(KeyId, {}, 'local'), dataKey(KeyId, {}, 'AKIAIOSFODNN7EXAMPLE')])).toEqual([
    'ok',
    'ok',
  ]);
  expect(await nameOf(dataKey(KeyId))).toBe('AccessDenied');
});

test('wildcards match actions regardless of case, and a re-encryption needs two of them', async () => {
  const generates = keyWith(allow({ Action: ['KMS:GenerateDataKey*', 'kms:decryp?'] }));
  const from = keyWith(allow({ Action: 'kms:ReEncryptFrom' }));
  const to = keyWith(allow({ Action: ['kms:ReEncryptTo'] }));
  const both = keyWith(allow({ Action: 'kms:ReEncrypt*' }));
  const { CiphertextBlob } = await dataKey(generates);
  const decrypt = new DecryptCommand({ CiphertextBlob, EncryptionContext: { tenant: 'acme' } });
  const encrypt = new EncryptCommand({ KeyId: generates, Plaintext: Buffer.from('x') });
  expect(await answersOf([as(OURS).send(decrypt), as(OURS).send(encrypt)])).toEqual(['ok', 'AccessDenied']);
  const move = async (source: string, DestinationKeyId: string) => {
    const made = await as('local').send(new EncryptCommand({ KeyId: source, Plaintext: Buffer.from('x') }));
    return as(OURS).send(new ReEncryptCommand({ CiphertextBlob: made.CiphertextBlob, DestinationKeyId }));
  };
  expect(await answersOf([move(from, to), move(both, both), move(to, from), move(from, from), move(to, to)])).toEqual([
    'ok',
    'ok',
    'AccessDenied',
    'AccessDenied',
    'AccessDenied',
  ]);
});

test('each half of a re-encryption is checked with its own context', async () => {
  const inDay = (day: string): object => ({ StringEquals: { [PERIOD]: day } });
  const KeyId = keyWith(
    allow({ Action: 'kms:ReEncryptFrom', Condition: inDay('monday') }),
    allow({ Action: 'kms:ReEncryptTo', Condition: inDay('tuesday') }),
  );
  const move = async (from: string, to: string): Promise<unknown> => {
    const made = await dataKey(KeyId, { period: from }, 'local');
    const contexts = { SourceEncryptionContext: { period: from }, DestinationEncryptionContext: { period: to } };
    const { CiphertextBlob } = made;
    return as(OURS).send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: KeyId, ...contexts }));
  };
  expect(await answersOf([move('monday', 'tuesday'), move('monday', 'monday'), move('tuesday', 'tuesday')])).toEqual([
    'ok',
    'AccessDenied',
    'AccessDenied',
  ]);
});

test.each<[string, object, readonly string[]]>([
  ['a role', { AWS: OURS }, [OURS]],
  ['its session', { AWS: 'arn:aws:sts::444455556666:assumed-role/ours/local' }, [OURS]],
  ['a role with a path', { AWS: [OTHER] }, [OTHER]],
  ['an account', { AWS: 'arn:aws:iam::444455556666:root' }, [OURS, OTHER]],
  ['an account by its number', { AWS: '444455556666' }, [OURS, OTHER]],
  ['anyone', { AWS: '*' }, [OURS, OTHER]],
])('a principal is %s', async (_name, Principal, may) => {
  const KeyId = keyWith(allow({ Principal, Action: 'kms:GenerateDataKey' }));
  const answers = await answersOf([OURS, OTHER].map((principal) => dataKey(KeyId, {}, principal)));
  expect(answers).toEqual([OURS, OTHER].map((principal) => (may.includes(principal) ? 'ok' : 'AccessDenied')));
});

test.each<[string, object, Context, boolean]>([
  ['equal', { StringEquals: { 'kms:EncryptionContext:tenant': 'acme' } }, { tenant: 'acme' }, true],
  ['another', { StringEquals: { 'kms:EncryptionContext:tenant': 'acme' } }, { tenant: 'acmeX' }, false],
  ['one of two', { StringEquals: { 'kms:EncryptionContext:tenant': ['x', 'acme'] } }, { tenant: 'acme' }, true],
  ['not there', { StringEquals: { 'kms:EncryptionContext:tenant': 'acme' } }, { other: 'acme' }, false],
  ['there may be none', { StringEqualsIfExists: { 'kms:EncryptionContext:tenant': 'acme' } }, {}, true],
  ['unlike', { StringNotEquals: { 'kms:EncryptionContext:tenant': ['x', 'y'] } }, { tenant: 'y' }, false],
  ['unlike, and not there', { StringNotEquals: { 'kms:EncryptionContext:tenant': 'x' } }, {}, true],
  ['a day', { StringLike: { [PERIOD]: '2026-11-23T*' } }, { period: '2026-11-23T17:41Z' }, true],
  ['another day', { StringLike: { [PERIOD]: '2026-11-23T*' } }, { period: '2026-11-24T17:41Z' }, false],
  ['no day', { StringNotLike: { [PERIOD]: '2026-11-23T*' } }, { period: '2026-11-23T17:41Z' }, false],
  ['no pattern in equality', { StringEquals: { [PERIOD]: '2026*' } }, { period: '2026-11-23T17:41Z' }, false],
  ['a dot is a dot', { StringLike: { [PERIOD]: 'a.c' } }, { period: 'abc' }, false],
  ['has a pair', { Null: { 'kms:EncryptionContext:tenant': 'false' } }, { tenant: '' }, true],
  ['has no pair', { Null: { 'kms:EncryptionContext:tenant': false } }, {}, false],
  ['no context at all', { Null: { 'kms:EncryptionContextKeys': true } }, {}, true],
  ['any key', { 'ForAnyValue:StringEquals': { 'kms:EncryptionContextKeys': 'a' } }, { a: '1', b: '2' }, true],
  ['any of none', { 'ForAnyValue:StringEquals': { 'kms:EncryptionContextKeys': 'a' } }, {}, false],
  ['all keys', { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': ['a', 'b'] } }, { a: '', b: '' }, true],
  ['not all keys', { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': 'a' } }, { a: '', b: '' }, false],
  ['all of none', { 'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': 'a' } }, {}, true],
  ['the caller', { StringEquals: { 'aws:PrincipalArn': OURS } }, {}, true],
  ['not the caller', { StringNotLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/our?' } }, {}, false],
  ['both', { StringLike: { [PERIOD]: '2*' }, StringEquals: { 'aws:PrincipalArn': OTHER } }, { period: '2' }, false],
])('a condition is evaluated correctly: %s', async (_name, Condition, context, holds) => {
  const KeyId = keyWith(allow({ Action: 'kms:GenerateDataKey', Condition }));
  expect(await nameOf(dataKey(KeyId, context))).toBe(holds ? 'ok' : 'AccessDenied');
});

test('a deny overrides any allow, and leaves the rest allowed', async () => {
  const deny = { Effect: 'Deny', Principal: '*', Action: 'kms:*', Resource: '*' };
  const KeyId = keyWith(allow({ Action: 'kms:*' }), {
    ...deny,
    Condition: { StringLike: { [PERIOD]: '2026-11-23T*' } },
  });
  const periods = ['2026-11-22T23:59Z', '2026-11-23T00:00Z', '2026-11-23T23:59Z', '2026-11-24T00:00Z'];
  expect(await answersOf(periods.map((period) => dataKey(KeyId, { period })))).toEqual([
    'ok',
    'AccessDenied',
    'AccessDenied',
    'ok',
  ]);
});

test('a denial names its policy and the caller, and gives other accounts no reason', async () => {
  const denies = { Effect: 'Deny', Principal: '*', Action: 'kms:GenerateDataKey', Resource: '*' };
  const none = server.createKey({ policy: policyOf().replace('kms:*', 'kms:PutKeyPolicy') });
  const denied = keyWith(denies);
  const textOf = (KeyId: string, principal: string): Promise<string> =>
    dataKey(KeyId, {}, principal).then(
      () => 'ok',
      (error: Error) => error.message,
    );
  const ME = 'User: arn:aws:sts::111122223333:assumed-role/sealdex/local is not authorized to perform: kms:Generate';
  expect(await textOf(none, 'local')).toBe(
    `${ME}DataKey on resource: ${none} because no resource-based policy allows the kms:GenerateDataKey action`,
  );
  expect(await textOf(denied, 'local')).toBe(
    `${ME}DataKey on resource: ${denied} with an explicit deny in a resource-based policy`,
  );
  const unclear =
    'User: arn:aws:sts::444455556666:assumed-role/ours/local is not authorized to perform: kms:GenerateDataKey on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';
  expect([await textOf(none, OURS), await textOf(denied, OURS)]).toEqual([unclear, unclear]);
  expect(await textOf(denied, 'arn:aws:iam::444455556666:user/ann')).toContain(
    'User: arn:aws:iam::444455556666:user/ann is',
  );
});

test('the policy is checked before the state of the key', async () => {
  const KeyId = keyWith(allow({ Action: 'kms:DescribeKey' }));
  server.disable(KeyId);
  expect(await answersOf([dataKey(KeyId), dataKey(KeyId, {}, 'local')])).toEqual(['AccessDenied', 'Disabled']);
  expect(await nameOf(as(OURS).send(new DescribeKeyCommand({ KeyId })))).toBe('ok');
});

test('a policy is returned as it was written, and has effect from then on', async () => {
  const { KeyMetadata } = await as('local').send(new CreateKeyCommand({ Policy: policyOf() }));
  const KeyId = KeyMetadata?.Arn;
  expect(await nameOf(dataKey(KeyId ?? ''))).toBe('AccessDenied');
  const Policy = policyOf(allow({ Action: 'kms:GenerateDataKey' }));
  expect(await nameOf(as(OURS).send(new PutKeyPolicyCommand({ KeyId, Policy })))).toBe('AccessDenied');
  await as('local').send(new PutKeyPolicyCommand({ KeyId, PolicyName: 'default', Policy }));
  expect((await as('local').send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(Policy);
  expect(await nameOf(dataKey(KeyId ?? ''))).toBe('ok');
  expect(await nameOf(as('local').send(new PutKeyPolicyCommand({ KeyId, PolicyName: 'my', Policy })))).toBe('NotFound');
});

test('a policy that would lock out its writer is rejected without BypassPolicyLockoutSafetyCheck', async () => {
  const KeyId = server.createKey();
  const Policy = JSON.stringify({ Statement: allow({ Action: 'kms:*' }) });
  const put = (BypassPolicyLockoutSafetyCheck: boolean): Promise<string> =>
    nameOf(as('local').send(new PutKeyPolicyCommand({ KeyId, Policy, BypassPolicyLockoutSafetyCheck })));
  expect(await nameOf(as('local').send(new CreateKeyCommand({ Policy })))).toBe('MalformedPolicyDocument');
  expect([await put(false), await put(true), await put(true)]).toEqual([
    'MalformedPolicyDocument',
    'ok',
    'AccessDenied',
  ]);
});

test.each<[string, string]>([
  ['no JSON', '{'],
  ['no object', '[]'],
  ['no statements', '{"Statement":[]}'],
  ['another version', policyOf().replace('2012', '2025')],
  ['an unknown element', policyOf(allow({ Action: 'kms:*', Conditions: {} }))],
  ['NotAction', policyOf(allow({ NotAction: 'kms:Decrypt' }))],
  ['no action', policyOf(allow({}))],
  ['an action of another service', policyOf(allow({ Action: 's3:GetObject' }))],
  ['another effect', policyOf(allow({ Effect: 'allow', Action: 'kms:*' }))],
  ['NotPrincipal', policyOf(allow({ Action: 'kms:*', Principal: undefined, NotPrincipal: '*' }))],
  ['a service', policyOf(allow({ Action: 'kms:*', Principal: { Service: 's3.amazonaws.com' } }))],
  ['part of an ARN', policyOf(allow({ Action: 'kms:*', Principal: { AWS: 'arn:aws:iam::444455556666:role/*' } }))],
  ['another resource', policyOf(allow({ Action: 'kms:*', Resource: 'arn:aws:kms:us-west-2:111122223333:key/x' }))],
  ['an operator', policyOf(allow({ Action: 'kms:*', Condition: { DateLessThan: { 'aws:PrincipalArn': 'x' } } }))],
  ['a condition key', policyOf(allow({ Action: 'kms:*', Condition: { StringEquals: { 'kms:ViaService': 'x' } } }))],
  ['a variable', policyOf(allow({ Action: 'kms:*', Condition: { StringLike: { [PERIOD]: '${aws:username}' } } }))],
  [
    'many values without a quantifier',
    policyOf(allow({ Action: 'kms:*', Condition: { StringEquals: { 'kms:EncryptionContextKeys': 'a' } } })),
  ],
  [
    'a quantifier for one value',
    policyOf(allow({ Action: 'kms:*', Condition: { 'ForAllValues:StringEquals': { [PERIOD]: 'a' } } })),
  ],
])('an unsupported policy element is rejected, never ignored: %s', async (_name, Policy) => {
  expect(await nameOf(as('local').send(new CreateKeyCommand({ Policy })))).toBe('MalformedPolicyDocument');
  expect(() => server.setPolicy(server.createKey(), Policy)).toThrow('no place for');
});

test("a caller's role policy is checked first, and its denial names it", async () => {
  const KeyId = server.createKey();
  const me = 'arn:aws:iam::111122223333:role/worker';
  const own = (resource: string): string =>
    JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource: resource } });
  server.permissions.set(me, own('arn:aws:kms:*:*:key/*'));
  expect(await nameOf(dataKey(KeyId, {}, me))).toBe('ok');
  server.permissions.set(me, own('arn:aws:kms:*:*:key/other'));
  await expect(dataKey(KeyId, {}, me)).rejects.toThrow(
    'because no identity-based policy allows the kms:GenerateDataKey action',
  );
  expect(server.permissions.uses()).toEqual([
    { principalArn: me, action: 'kms:GenerateDataKey', resource: KeyId, allowedBy: [0] },
    { principalArn: me, action: 'kms:GenerateDataKey', resource: KeyId, allowedBy: [] },
  ]);
  server.permissions.set(me, undefined);
  expect(await nameOf(dataKey(KeyId, {}, me))).toBe('ok');
});

test('policies survive a restart', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sealdex-test-'));
  const stateFile = join(dir, 'keys.json');
  try {
    const policy = policyOf();
    const first = await startKms({ stateFile });
    const KeyId = first.createKey({ policy });
    await first.stop();
    const second = await startKms({ stateFile });
    const { endpoint, region } = second;
    const client = new KMSClient({ endpoint, region, credentials: { accessKeyId: 'l', secretAccessKey: 'l' } });
    expect((await client.send(new GetKeyPolicyCommand({ KeyId }))).Policy).toBe(policy);
    client.destroy();
    await second.stop();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
