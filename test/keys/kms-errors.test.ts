// The table of KMS errors and key states, walked row by row through the real client against the local KMS.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { KMS_ERRORS, type KmsErrorFault } from '../../src/dev/kms/faults.ts';
import type { KeyState } from '../../src/dev/kms/keys.ts';
import type { Code, SealdexError } from '../../src/errors.ts';
import { kmsFault } from '../../src/keys/faults.ts';
import { createKms, type Kms } from '../../src/keys/kms.ts';
import { createMetrics, type Metrics } from '../../src/metrics.ts';
import { eventually } from '../support/eventually.ts';
import { contextOf, openRoom, type OneRing, type Room } from './fixture.ts';

let room: Room;
let one: OneRing;
/** Its deadline is short: for calls that hang. */
let prompt: OneRing;

beforeAll(async () => {
  room = await openRoom();
  one = await room.open();
  prompt = await room.open({ use: 'prompt' });
});

afterEach(() => {
  room.kms.faults.clear();
  room.kms.setState(room.config.platformKeyArn, 'Enabled');
  room.kms.counts.reset();
});

afterAll(() => room[Symbol.asyncDispose]());

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: SealdexError) => error.code,
  );

const named = (name: string, status = 400): KmsErrorFault => ({ kind: 'error', name, status });

/** What KMS answers, the code for a tenant's KMS key, and the code for the platform key. */
const ERRORS: [string, KmsErrorFault, Code, Code][] = [
  ['KMSInternalException', KMS_ERRORS.internal, 'KMS_FAILED', 'KMS_FAILED'],
  ['DependencyTimeoutException', KMS_ERRORS.dependencyTimeout, 'KMS_FAILED', 'KMS_FAILED'],
  ['KeyUnavailableException', KMS_ERRORS.keyUnavailable, 'KMS_FAILED', 'KMS_FAILED'],
  ['an unknown error with status 503', named('ServiceUnavailable', 503), 'KMS_FAILED', 'KMS_FAILED'],
  ['ThrottlingException', KMS_ERRORS.throttled, 'KMS_THROTTLED', 'KMS_THROTTLED'],
  ['LimitExceededException', named('LimitExceededException'), 'KMS_THROTTLED', 'KMS_THROTTLED'],
  ['AccessDeniedException by the key policy', KMS_ERRORS.accessDenied, 'KEY_DENIED', 'PLATFORM_KEY'],
  ['AccessDeniedException by our IAM', KMS_ERRORS.accessDeniedByUs, 'KEY_DENIED', 'PLATFORM_KEY'],
  ['NotFoundException', KMS_ERRORS.notFound, 'KEY_NOT_FOUND', 'PLATFORM_KEY'],
  ['InvalidCiphertextException', named('InvalidCiphertextException'), 'OBJECT_TAMPERED', 'OBJECT_TAMPERED'],
  ['IncorrectKeyException', named('IncorrectKeyException'), 'OBJECT_TAMPERED', 'OBJECT_TAMPERED'],
  ['InvalidKeyUsageException', named('InvalidKeyUsageException'), 'TENANT_KEY_INVALID', 'PLATFORM_KEY'],
  ['InvalidArnException', named('InvalidArnException'), 'TENANT_KEY_INVALID', 'PLATFORM_KEY'],
  ['ValidationException', named('ValidationException'), 'TENANT_KEY_INVALID', 'PLATFORM_KEY'],
  ...[
    'ExpiredTokenException',
    'UnrecognizedClientException',
    'InvalidClientTokenId',
    'IncompleteSignature',
    'InvalidSignatureException',
    'SignatureDoesNotMatch',
    'RequestTimeTooSkewed',
    'InvalidAccessKeyId',
    'InvalidToken',
    'CredentialsProviderError',
  ].map((name): [string, KmsErrorFault, Code, Code] => [
    name,
    named(name),
    'PLATFORM_CREDENTIALS',
    'PLATFORM_CREDENTIALS',
  ]),
  ['an error that nobody knows', named('BrandNewException'), 'INTERNAL', 'INTERNAL'],
];

test.each(ERRORS)('%s: GenerateDataKey and Decrypt tell it by its code', async (_, fault, forTenant, forPlatform) => {
  const { tenant, arn } = room.tenant();
  const context = contextOf(tenant);
  for (const [key, code] of [
    [arn, forTenant],
    [room.config.platformKeyArn, forPlatform],
  ] as const) {
    const { wrapped } = await one.kms.generateDataKey(key, context);
    room.kms.faults.set({ fault });
    expect(await codeOf(one.kms.generateDataKey(key, context))).toBe(code);
    expect(await codeOf(one.kms.decrypt(key, wrapped, context))).toBe(code);
    room.kms.faults.clear();
  }
});

test('An error keeps its name as reason and the SDK’s error as cause, and its message tells nothing of KMS’ text', async () => {
  const { tenant, arn } = room.tenant();
  room.kms.faults.set({ fault: KMS_ERRORS.accessDenied });
  const error = await one.kms.generateDataKey(arn, contextOf(tenant)).catch((error: SealdexError) => error);
  expect(error).toMatchObject({
    code: 'KEY_DENIED',
    reason: 'AccessDeniedException',
    cause: { name: 'AccessDeniedException', message: expect.stringContaining('resource-based') as string },
  });
  expect((error as SealdexError).message).not.toContain('resource-based');
});

interface StateRow {
  readonly state: KeyState;
  readonly answers?: 'DisabledException' | 'KMSInvalidStateException';
  readonly code: Code | 'ok';
  readonly platform: Code | 'ok';
  /** When DescribeKey is denied too. */
  readonly unexplained: Code | 'ok';
}

const STATES: StateRow[] = [
  { state: 'Enabled', code: 'ok', platform: 'ok', unexplained: 'ok' },
  { state: 'Updating', code: 'ok', platform: 'ok', unexplained: 'ok' },
  { state: 'Disabled', code: 'KEY_DISABLED', platform: 'PLATFORM_KEY', unexplained: 'KEY_DISABLED' },
  {
    state: 'PendingDeletion',
    answers: 'DisabledException',
    code: 'KEY_PENDING_DELETION',
    platform: 'PLATFORM_KEY',
    unexplained: 'KEY_PENDING_DELETION',
  },
  {
    state: 'PendingDeletion',
    answers: 'KMSInvalidStateException',
    code: 'KEY_PENDING_DELETION',
    platform: 'PLATFORM_KEY',
    unexplained: 'KEY_PENDING_DELETION',
  },
  {
    state: 'PendingReplicaDeletion',
    code: 'KEY_PENDING_DELETION',
    platform: 'PLATFORM_KEY',
    unexplained: 'KEY_PENDING_DELETION',
  },
  { state: 'PendingImport', code: 'KEY_PENDING_IMPORT', platform: 'PLATFORM_KEY', unexplained: 'KEY_PENDING_IMPORT' },
  { state: 'Unavailable', code: 'KEY_UNAVAILABLE', platform: 'PLATFORM_KEY', unexplained: 'KEY_UNAVAILABLE' },
  { state: 'Creating', code: 'KMS_FAILED', platform: 'KMS_FAILED', unexplained: 'KMS_FAILED' },
];

test.each(STATES)('A key that is $state ($answers) is told as $code', async ({ state, answers, ...expected }) => {
  const { tenant, arn } = room.tenant();
  const platform = room.config.platformKeyArn;
  const context = contextOf(tenant);
  const wrapped = new Map<string, Buffer>();
  for (const key of [arn, platform]) {
    wrapped.set(key, (await one.kms.generateDataKey(key, context)).wrapped);
    if (answers !== undefined) room.kms.scheduleDeletion(key, { answers });
    room.kms.setState(key, state);
  }
  const codes = async (key: string): Promise<string[]> => [
    await codeOf(one.kms.generateDataKey(key, context)),
    await codeOf(one.kms.decrypt(key, wrapped.get(key)!, context)),
  ];
  expect(await codes(arn)).toEqual([expected.code, expected.code]);
  expect(await codes(platform)).toEqual([expected.platform, expected.platform]);
  room.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: KMS_ERRORS.accessDenied });
  expect(await codes(arn)).toEqual([expected.unexplained, expected.unexplained]);
});

test('A key that is gone is not found', async () => {
  const { tenant, arn } = room.tenant();
  const { wrapped } = await one.kms.generateDataKey(arn, contextOf(tenant));
  room.kms.forget(arn);
  expect(await codeOf(one.kms.generateDataKey(arn, contextOf(tenant)))).toBe('KEY_NOT_FOUND');
  expect(await codeOf(one.kms.decrypt(arn, wrapped, contextOf(tenant)))).toBe('KEY_NOT_FOUND');
});

test('A refusal whose key is found enabled again passes by itself', async () => {
  const { tenant, arn } = room.tenant();
  room.kms.faults.set({ match: { operation: 'GenerateDataKey' }, fault: named('DisabledException') });
  expect(await codeOf(one.kms.generateDataKey(arn, contextOf(tenant)))).toBe('KMS_FAILED');
});

test('A refusal by state costs one call and one DescribeKey; other refusals cost one call', async () => {
  const { tenant, arn } = room.tenant();
  room.kms.disable(arn);
  await codeOf(one.kms.generateDataKey(arn, contextOf(tenant)));
  room.kms.enable(arn);
  room.kms.faults.set({ match: { key: arn, operation: 'Decrypt' }, fault: KMS_ERRORS.accessDenied });
  await codeOf(one.kms.decrypt(arn, Buffer.from('wrapped'), contextOf(tenant)));
  expect(room.kms.counts.all().map(({ operation, result, count }) => `${operation} ${result} ${count}`)).toEqual([
    'GenerateDataKey DisabledException 1',
    'DescribeKey ok 1',
    'Decrypt AccessDeniedException 1',
  ]);
});

test('Wrapped bytes that KMS would not even look at are a tampered message, not a wrong key, and KMS is not asked', async () => {
  const context = contextOf('acme');
  for (const length of [0, 6145, 65_535]) {
    expect(await codeOf(one.kms.decrypt(room.config.platformKeyArn, Buffer.alloc(length), context))).toBe(
      'OBJECT_TAMPERED',
    );
  }
  expect(room.kms.counts.count()).toBe(0);
  expect(await codeOf(one.kms.decrypt(room.config.platformKeyArn, Buffer.alloc(6144), context))).toBe(
    'OBJECT_TAMPERED',
  );
  expect(room.kms.counts.count()).toBe(1);
});

test('An ARN that is none is a wrong setting of the tenant', async () => {
  expect(await codeOf(one.kms.generateDataKey('arn:aws:kms:nonsense', contextOf('acme')))).toBe('TENANT_KEY_INVALID');
});

test.each(['GenerateDataKey', 'Decrypt'])(
  'A hanging %s ends as KMS_FAILED, and so do all who wait behind it',
  async (operation) => {
    const { tenant, arn } = room.tenant();
    const hang = room.kms.faults.set({ match: { key: arn, operation }, fault: { kind: 'hang' } });
    const calls = Array.from({ length: 20 }, () =>
      operation === 'Decrypt'
        ? prompt.kms.decrypt(arn, Buffer.from('wrapped'), contextOf(tenant))
        : prompt.kms.generateDataKey(arn, contextOf(tenant)),
    );
    const codes = await Promise.all(calls.map(codeOf));
    expect(new Set(codes)).toEqual(new Set(['KMS_FAILED']));
    expect(hang.met).toBeGreaterThan(0);
    await eventually(() => hang.waiting === 0);
  },
);

test('What the first try told is not lost when time runs out before the second one ends', async () => {
  const { tenant, arn } = room.tenant();
  room.kms.faults.set({ match: { key: arn }, fault: KMS_ERRORS.throttled, times: 1 });
  room.kms.faults.set({ match: { key: arn }, fault: { kind: 'hang' } });
  expect(await codeOf(prompt.kms.generateDataKey(arn, contextOf(tenant)))).toBe('KMS_THROTTLED');
});

test('A hanging DescribeKey leaves the first error as the reason', async () => {
  const { tenant, arn } = room.tenant();
  room.kms.disable(arn);
  room.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: { kind: 'hang' } });
  expect(await codeOf(prompt.kms.generateDataKey(arn, contextOf(tenant)))).toBe('KEY_DISABLED');
});

const open = (endpoint: string): { kms: Kms; metrics: Metrics } => {
  const metrics = createMetrics();
  const settings = { ...room.settings, AWS_ENDPOINT_URL_KMS: endpoint };
  return { kms: createKms(loadConfig(settings, {}), metrics, 'prompt'), metrics };
};

test.each([
  ['nobody listens', 'http://127.0.0.1:9'],
  ['the name is unknown', 'http://kms.invalid:1'],
  ['TLS is expected of a plain server', () => room.kms.endpoint.replace('http:', 'https:')],
])('Where %s, KMS has failed', async (_, endpoint) => {
  const { kms, metrics } = open(typeof endpoint === 'string' ? endpoint : endpoint());
  expect(await codeOf(kms.generateDataKey(room.config.platformKeyArn, contextOf('acme')))).toBe('KMS_FAILED');
  expect(await metrics.by('sealdex_kms_calls_total', 'result')).toEqual({ KMS_FAILED: 1 });
  kms.close();
  kms.close();
});

test.each([
  'ECONNRESET',
  'EAI_AGAIN',
  'ENOTFOUND',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])('Trouble of the network by code %s is KMS_FAILED', (code) => {
  expect(kmsFault(Object.assign(new Error('no matter'), { code }), false).code).toBe('KMS_FAILED');
});

test.each([
  Object.assign(new TypeError('no matter'), { code: 'ERR_INVALID_ARG_TYPE' }),
  new SyntaxError('x'),
  'text',
  null,
])('What nobody foresaw is INTERNAL, so that it does not repeat for ever: %s', (error) => {
  expect(kmsFault(error, false).code).toBe('INTERNAL');
});

test.each(['AccessDenied', 'InvalidIdentityTokenException', 'IDPRejectedClaimException'])(
  'A refusal of STS, which is asked for credentials, is our fault: %s',
  (name) => {
    expect(kmsFault(Object.assign(new Error('no matter'), { name }), false).code).toBe('PLATFORM_CREDENTIALS');
  },
);

test('A name from KMS that is no name does not become a reason, and a state that is none does not become a code', () => {
  const odd = Object.assign(new Error('x'), { name: 'Weird name <of somebody else>' });
  expect(kmsFault(odd, false)).toMatchObject({ code: 'INTERNAL', reason: 'Unknown' });
  const state = Object.assign(new Error('x'), { name: 'DisabledException' });
  expect(kmsFault(state, false, 'constructor').code).toBe('KMS_FAILED');
});
