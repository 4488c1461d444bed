// The table of KMS errors, row by row through the real client against the local KMS.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { KMS_ERRORS, type KmsErrorFault } from '@sealdex/local-aws';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import { kmsFault } from '../../src/keys/aws/kms-error-mapping.ts';
import { KMS_ERROR_TABLE, type KmsErrorRow } from '../../src/keys/aws/kms-errors.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { createMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { contextOf, type OneRing } from './fixture.ts';
import { openAdapterFixture, type AdapterFixture } from './adapter-fixture.ts';

let fixture: AdapterFixture;
let one: OneRing;
/** A client with a short deadline: for hanging calls. */
let prompt: OneRing;

beforeAll(async () => {
  fixture = await openAdapterFixture();
  one = await fixture.open();
  prompt = await fixture.open({ use: 'prompt' });
});

afterEach(() => {
  fixture.kms.faults.clear();
  fixture.kms.setState(fixture.config.platformKeyArn, 'Enabled');
  fixture.kms.counts.reset();
});

afterAll(() => fixture[Symbol.asyncDispose]());

async function faultOf(call: Promise<unknown>): Promise<SealdexError> {
  const answer = await call.then(
    () => new Error('The call did not fail.'),
    (error: unknown) => error,
  );
  if (answer instanceof SealdexError) return answer;
  throw answer;
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: SealdexError) => error.code,
  );

const named = (name: string, status = 400): KmsErrorFault => ({ kind: 'error', name, status });

const TENANT_KEY = { arn: 'arn:aws:kms:us-west-2:111122223333:key/k', isPlatformKey: false };

interface Expected {
  readonly names: readonly string[];
  readonly tenant: Code;
  readonly platform: Code;
  /** Errors beside those identified only by their name. */
  readonly also?: Record<string, KmsErrorFault>;
  readonly deniedBy?: 'operator' | 'tenant';
}

const expected = (tenant: Code, platform: Code, names: string[], more: Partial<Expected> = {}): Expected => ({
  tenant,
  platform,
  names,
  ...more,
});

const denied = (words: string): KmsErrorFault => ({
  kind: 'error',
  name: 'AccessDeniedException',
  message: `User: arn:aws:sts::111122223333:assumed-role/sealdex/local is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-west-2:444455556666:key/k ${words}`,
});

/** Written by hand: the meaning of each error. */
const ERRORS: Record<string, Expected> = {
  failed: expected(
    'KMS_FAILED',
    'KMS_FAILED',
    ['KMSInternalException', 'DependencyTimeoutException', 'TimeoutError', 'AbortError'],
    { also: { ServiceUnavailable: named('ServiceUnavailable', 503) } },
  ),
  unavailable: expected('KMS_FAILED', 'KMS_FAILED', ['KeyUnavailableException']),
  throttled: expected('KMS_THROTTLED', 'KMS_THROTTLED', ['ThrottlingException', 'LimitExceededException']),
  // For a key that DescribeKey finds enabled; the table of key states is tested below.
  disabled: expected('KMS_FAILED', 'KMS_FAILED', ['DisabledException']),
  invalidState: expected('KMS_FAILED', 'KMS_FAILED', ['KMSInvalidStateException']),
  deniedByCaller: expected('KEY_DENIED', 'PLATFORM_KEY', ['AccessDeniedException'], {
    deniedBy: 'operator',
    also: {
      'no identity-based policy': KMS_ERRORS.accessDeniedByUs,
      "the role's explicit deny": denied('with an explicit deny in an identity-based policy'),
      "the role's boundary": denied('because no permissions boundary allows the kms:Decrypt action'),
      "the role's session": denied('because no session policy allows the kms:Decrypt action'),
      "the role's VPC endpoint": denied('with an explicit deny in a VPC endpoint policy'),
      "the role's organization": denied('with an explicit deny in a service control policy'),
    },
  }),
  denied: expected('KEY_DENIED', 'PLATFORM_KEY', ['AccessDeniedException'], {
    deniedBy: 'tenant',
    also: {
      'no resource-based policy': KMS_ERRORS.accessDenied,
      "the key's explicit deny": denied('with an explicit deny in a resource-based policy'),
      "the key's organization": denied('with an explicit deny in a resource control policy'),
    },
  }),
  notFound: expected('KEY_NOT_FOUND', 'PLATFORM_KEY', ['NotFoundException']),
  tampered: expected('OBJECT_TAMPERED', 'OBJECT_TAMPERED', ['InvalidCiphertextException', 'IncorrectKeyException']),
  invalid: expected('TENANT_KEY_INVALID', 'PLATFORM_KEY', [
    'InvalidKeyUsageException',
    'InvalidArnException',
    'ValidationException',
  ]),
  credentials: expected('PLATFORM_CREDENTIALS', 'PLATFORM_CREDENTIALS', [
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
    'TokenProviderError',
  ]),
  sts: expected('PLATFORM_CREDENTIALS', 'PLATFORM_CREDENTIALS', [
    'AccessDenied',
    'InvalidIdentityTokenException',
    'IDPRejectedClaimException',
  ]),
  dryRun: expected('INTERNAL', 'INTERNAL', ['DryRunOperationException']),
  unknown: expected('INTERNAL', 'INTERNAL', [], { also: { BrandNewException: named('BrandNewException') } }),
};

test('the table of KMS errors has the rows tested here, and is frozen', () => {
  const rows = Object.entries<KmsErrorRow>(KMS_ERROR_TABLE);
  expect(Object.fromEntries(rows.map(([row, { names }]) => [row, names]))).toEqual(
    Object.fromEntries(Object.entries(ERRORS).map(([row, { names }]) => [row, names])),
  );
  expect([KMS_ERROR_TABLE, ...rows.map(([, row]) => row)].every(Object.isFrozen)).toBe(true);
});

const FAULTS = Object.values(ERRORS).flatMap(({ names, also = {}, ...row }) => [
  // Only the text of a denial names the denying account: without it, the tenant is assumed.
  ...names.filter(() => row.deniedBy !== 'operator').map((name) => ({ label: name, fault: named(name), ...row })),
  ...Object.entries(also).map(([label, fault]) => ({ label, fault, ...row })),
]);

const reasonOf = (fault: KmsErrorFault): string =>
  fault.kind === 'error' ? fault.name : fault.kind === 'notFound' ? 'NotFoundException' : 'AccessDeniedException';

test.each(FAULTS)('$label: GenerateDataKey and Decrypt throw the code, reason and key', async ({ fault, ...row }) => {
  // A separate client, so that throttling does not slow other rows.
  const { kms } = await fixture.open();
  const ref = fixture.tenant();
  const context = contextOf(ref.tenant);
  for (const [key, code, deniedBy] of [
    [ref.keyArn, row.tenant, row.deniedBy],
    [fixture.config.platformKeyArn, row.platform, row.deniedBy && 'operator'],
  ] as const) {
    const { wrapped } = await kms.generateDataKey(keyRef(context.tenant, key), context);
    const set = fixture.kms.faults.set({ match: { operation: ['GenerateDataKey', 'Decrypt'] }, fault });
    for (const call of [
      () => kms.generateDataKey(keyRef(context.tenant, key), context),
      () => kms.decrypt(keyRef(context.tenant, key), wrapped, context),
    ]) {
      const { code: thrown, reason, keyArn, deniedBy: by, deletesAt } = await faultOf(call());
      expect({ code: thrown, reason, keyArn, by, deletesAt }).toEqual({
        code,
        reason: reasonOf(fault),
        keyArn: key,
        by: deniedBy,
        deletesAt: undefined,
      });
    }
    set.clear();
  }
});

test('an error has its AWS name as reason, the SDK’s error as cause and the request id, and none of KMS’ text in its message', async () => {
  const ref = fixture.tenant();
  fixture.kms.faults.set({ fault: KMS_ERRORS.accessDenied });
  const error = await one.kms.generateDataKey(ref, contextOf(ref.tenant)).catch((error: SealdexError) => error);
  expect(error).toMatchObject({
    code: 'KEY_DENIED',
    reason: 'AccessDeniedException',
    cause: { name: 'AccessDeniedException', message: expect.stringContaining('resource-based') as string },
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
  });
  expect((error as SealdexError).message).not.toContain('resource-based');
});

test('a key state error costs one call and one DescribeKey; other errors cost one call', async () => {
  const ref = fixture.tenant();
  fixture.kms.disable(ref.keyArn);
  await codeOf(one.kms.generateDataKey(ref, contextOf(ref.tenant)));
  fixture.kms.enable(ref.keyArn);
  fixture.kms.faults.set({ match: { key: ref.keyArn, operation: 'Decrypt' }, fault: KMS_ERRORS.accessDenied });
  await codeOf(one.kms.decrypt(ref, Buffer.from('wrapped'), contextOf(ref.tenant)));
  expect(fixture.kms.counts.all().map(({ operation, result, count }) => `${operation} ${result} ${count}`)).toEqual([
    'GenerateDataKey DisabledException 1',
    'DescribeKey ok 1',
    'Decrypt AccessDeniedException 1',
  ]);
});

test('wrapped bytes of impossible length are a tampered message, not a wrong key, and cause no KMS call', async () => {
  const context = contextOf('acme');
  for (const length of [0, 6145, 65_535]) {
    expect(
      await codeOf(
        one.kms.decrypt(keyRef(context.tenant, fixture.config.platformKeyArn), Buffer.alloc(length), context),
      ),
    ).toBe('OBJECT_TAMPERED');
  }
  expect(fixture.kms.counts.count()).toBe(0);
  expect(
    await codeOf(one.kms.decrypt(keyRef(context.tenant, fixture.config.platformKeyArn), Buffer.alloc(6144), context)),
  ).toBe('OBJECT_TAMPERED');
  expect(fixture.kms.counts.count()).toBe(1);
});

test('an invalid ARN is a wrong setting of the tenant', async () => {
  expect(await codeOf(one.kms.generateDataKey(keyRef('acme', 'arn:aws:kms:nonsense'), contextOf('acme')))).toBe(
    'TENANT_KEY_INVALID',
  );
});

test.each(['GenerateDataKey', 'Decrypt'])(
  'a hanging %s ends with KMS_FAILED for all waiting callers',
  async (operation) => {
    using _real = realDeadlines();
    const ref = fixture.tenant();
    const hang = fixture.kms.faults.set({ match: { key: ref.keyArn, operation }, fault: { kind: 'hang' } });
    const calls = Array.from({ length: 20 }, () =>
      operation === 'Decrypt'
        ? prompt.kms.decrypt(ref, Buffer.from('wrapped'), contextOf(ref.tenant))
        : prompt.kms.generateDataKey(ref, contextOf(ref.tenant)),
    );
    const codes = await Promise.all(calls.map(codeOf));
    expect(new Set(codes)).toEqual(new Set(['KMS_FAILED']));
    expect(hang.met).toBeGreaterThan(0);
    await eventually(() => hang.waiting === 0);
  },
);

test('the error of the first attempt is reported if the second one does not end in time', async () => {
  using _real = realDeadlines();
  const ref = fixture.tenant();
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: KMS_ERRORS.throttled, times: 1 });
  fixture.kms.faults.set({ match: { key: ref.keyArn }, fault: { kind: 'hang' } });
  expect(await codeOf(prompt.kms.generateDataKey(ref, contextOf(ref.tenant)))).toBe('KMS_THROTTLED');
});

test('a hanging DescribeKey leaves the first error as the reason', async () => {
  using _real = realDeadlines();
  const ref = fixture.tenant();
  fixture.kms.disable(ref.keyArn);
  fixture.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: { kind: 'hang' } });
  expect(await codeOf(prompt.kms.generateDataKey(ref, contextOf(ref.tenant)))).toBe('KEY_DISABLED');
});

const open = (endpoint: string): { kms: Kms; metrics: Metrics } => {
  const metrics = createMetrics();
  return { kms: createKms({ ...fixture.config, kmsEndpoint: endpoint }, metrics, noAudit, 'prompt'), metrics };
};

test.each([
  ['no server listens', 'http://127.0.0.1:9', /^ECONNREFUSED$/],
  ['the name is unknown', 'http://kms.invalid:1', /^(ENOTFOUND|EAI_AGAIN)$/],
  [
    'TLS is expected of a plain server',
    () => fixture.kms.endpoint.replace('http:', 'https:'),
    /^(EPROTO|ERR_SSL_\w+)$/,
  ],
])('a KMS call throws KMS_FAILED with the code of the network if %s', async (_, endpoint, reason) => {
  const { kms, metrics } = open(typeof endpoint === 'string' ? endpoint : endpoint());
  await expect(
    kms.generateDataKey(keyRef('acme', fixture.config.platformKeyArn), contextOf('acme')),
  ).rejects.toMatchObject({ code: 'KMS_FAILED', reason: expect.stringMatching(reason) as string });
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
])('the network error %s is KMS_FAILED', (code) => {
  expect(kmsFault(Object.assign(new Error('no matter'), { code }), TENANT_KEY).code).toBe('KMS_FAILED');
});

test.each([
  Object.assign(new TypeError('no matter'), { code: 'ERR_INVALID_ARG_TYPE' }),
  new SyntaxError('x'),
  'text',
  null,
])('an unexpected error is INTERNAL, so that it is not retried forever: %s', (error) => {
  expect(kmsFault(error, TENANT_KEY).code).toBe('INTERNAL');
});

test('an invalid error name from KMS does not become a reason', () => {
  const odd = Object.assign(new Error('x'), { name: 'Weird name <of somebody else>' });
  expect(kmsFault(odd, TENANT_KEY)).toMatchObject({ code: 'INTERNAL', reason: 'Unknown' });
});

test('calls are counted by operation and result', async () => {
  const [good, bad] = [fixture.tenant(), fixture.tenant()];
  const [writer, reader] = [await fixture.open(), await fixture.open()];
  const { wrapped, context } = await writer.ring.current(good, 'documents', 1);
  await reader.ring.unwrap(good, wrapped, context);
  fixture.kms.disable(bad.keyArn);
  await reader.ring.current(bad, 'documents', 1).catch(() => {});
  fixture.kms.faults.set({ match: { operation: 'DescribeKey' }, fault: KMS_ERRORS.accessDenied });
  await reader.ring.current(bad, 'documents', 1).catch(() => {});
  const lines = (text: string): string[] =>
    text.split('\n').filter((line) => line.startsWith('sealdex_kms_calls_total{'));
  expect(lines(await writer.metrics.text())).toEqual([
    'sealdex_kms_calls_total{operation="GenerateDataKey",result="ok"} 1',
  ]);
  expect(lines(await reader.metrics.text()).sort()).toEqual([
    'sealdex_kms_calls_total{operation="Decrypt",result="ok"} 1',
    'sealdex_kms_calls_total{operation="DescribeKey",result="KEY_DENIED"} 1',
    'sealdex_kms_calls_total{operation="DescribeKey",result="ok"} 1',
    'sealdex_kms_calls_total{operation="GenerateDataKey",result="KEY_DISABLED"} 2',
  ]);
});
