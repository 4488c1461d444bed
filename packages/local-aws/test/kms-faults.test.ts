// Every injected error of the local KMS through the real client, and the counts.
import { DecryptCommand, DescribeKeyCommand, GenerateDataKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { KMS_ERRORS, type KmsErrorFault } from '../src/kms/fault-injection.ts';
import { type KmsServer, startKms } from '../src/kms/server.ts';
import { eventually } from './eventually.ts';
import { kmsClient } from './clients.ts';

let server: KmsServer;
let client: KMSClient;
let key: string;

beforeAll(async () => {
  server = await startKms();
  client = kmsClient(server);
});

beforeEach(() => {
  key = server.createKey();
  server.counts.reset();
});

afterEach(() => server.faults.clear());

afterAll(async () => {
  client.destroy();
  await server.stop();
});

const nameOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: Error) => error.name,
  );
const generate = (KeyId = key, context: Record<string, string> = { tenant: 'acme' }) =>
  client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256', EncryptionContext: context }));
const decrypt = (CiphertextBlob: Uint8Array | undefined) =>
  client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { tenant: 'acme' } }));

const named: [KmsErrorFault, string, RegExp][] = [
  [KMS_ERRORS.throttled, 'ThrottlingException', /exceeded the rate/],
  [KMS_ERRORS.internal, 'KMSInternalException', /internal failure/],
  [KMS_ERRORS.dependencyTimeout, 'DependencyTimeoutException', /timed out/],
  [KMS_ERRORS.keyUnavailable, 'KeyUnavailableException', /not available/],
  [KMS_ERRORS.expiredCredentials, 'ExpiredTokenException', /expired/],
  [KMS_ERRORS.unknownCredentials, 'UnrecognizedClientException', /security token .* is invalid/],
  [KMS_ERRORS.accessDenied, 'AccessDeniedException', /kms:GenerateDataKey .* no resource-based policy allows/],
  [KMS_ERRORS.accessDeniedByUs, 'AccessDeniedException', /no identity-based policy allows/],
  [KMS_ERRORS.notFound, 'NotFoundException', /does not exist/],
  [{ kind: 'error', name: 'LimitExceededException', message: 'mine', status: 503 }, 'LimitExceededException', /^mine$/],
];

test.each(named)('an injected error %o is returned as %s', async (fault, name, message) => {
  server.faults.set({ fault });
  const error = await generate().catch((error: Error) => error);
  expect(error).toMatchObject({ name, message: expect.stringMatching(message) as string });
});

test('an injected error affects one key, one operation, one context, or all', async () => {
  const other = server.createKey();
  const { CiphertextBlob } = await generate();
  server.faults.set({ match: { key, operation: 'Decrypt' }, fault: KMS_ERRORS.accessDenied });
  expect([await nameOf(generate()), await nameOf(decrypt(CiphertextBlob)), await nameOf(generate(other))]).toEqual([
    'ok',
    'AccessDeniedException',
    'ok',
  ]);
  server.faults.clear();
  server.faults.set({ match: { operation: ['GenerateDataKey', 'Encrypt'] }, fault: KMS_ERRORS.throttled });
  expect([await nameOf(generate()), await nameOf(generate(other)), await nameOf(decrypt(CiphertextBlob))]).toEqual([
    'ThrottlingException',
    'ThrottlingException',
    'ok',
  ]);
});

test('a period can be denied by its encryption context without effect on others', async () => {
  const period = { period: '2026-11-23T17:41Z' };
  server.faults.set({ match: { key, context: period }, fault: KMS_ERRORS.accessDenied });
  expect(await nameOf(generate(key, { tenant: 'acme', ...period }))).toBe('AccessDeniedException');
  expect(await nameOf(generate(key, { tenant: 'acme', period: '2026-11-23T18:41Z' }))).toBe('ok');
  expect(await nameOf(client.send(new DescribeKeyCommand({ KeyId: key })))).toBe('ok');
});

test('an injected error lasts for N calls, or until it is cleared', async () => {
  const fault = server.faults.set({ fault: KMS_ERRORS.internal, times: 2 });
  const answers = [await nameOf(generate()), await nameOf(generate()), await nameOf(generate())];
  expect(answers).toEqual(['KMSInternalException', 'KMSInternalException', 'ok']);
  expect(fault.met).toBe(2);
});

test('a flapping key fails and works alternately', async () => {
  server.faults.set({ match: { key }, fault: { kind: 'flapping', fault: KMS_ERRORS.accessDenied, bad: 2, good: 1 } });
  const answers: string[] = [];
  for (let call = 0; call < 6; call += 1) answers.push(await nameOf(generate()));
  const [bad, good] = ['AccessDeniedException', 'ok'];
  expect(answers).toEqual([bad, bad, good, bad, bad, good]);
});

test('a hanging key holds only its own calls, and they continue when it is cleared', async () => {
  const other = server.createKey();
  const hang = server.faults.set({ match: { key }, fault: { kind: 'hang' } });
  const held = generate();
  await eventually(() => hang.waiting === 1);
  expect(await nameOf(generate(other))).toBe('ok');
  expect(server.counts.count({ key, result: 'open' })).toBe(1);
  hang.clear();
  expect((await held).Plaintext).toHaveLength(32);
  expect(server.counts.count({ key, result: 'ok' })).toBe(1);
});

test('a call ends when its client disconnects', async () => {
  const hang = server.faults.set({ match: { key }, fault: { kind: 'hang' } });
  const controller = new AbortController();
  const call = client.send(new GenerateDataKeyCommand({ KeyId: key, KeySpec: 'AES_256' }), {
    abortSignal: controller.signal,
  });
  await eventually(() => hang.waiting === 1);
  controller.abort();
  expect(await nameOf(call)).toBe('AbortError');
  await eventually(() => server.counts.count({ key, result: 'gone' }) === 1);
});

test('a slow key responds after its latency, together with another injected error', async () => {
  const slow = server.faults.set({ fault: { kind: 'latency', ms: 15 } });
  expect(await nameOf(generate())).toBe('ok');
  server.faults.set({ fault: KMS_ERRORS.throttled });
  expect(await nameOf(generate())).toBe('ThrottlingException');
  expect(slow.met).toBe(2);
});

test('calls are counted by operation, key, tenant and result, and the count can be reset', async () => {
  const { CiphertextBlob } = await generate();
  await generate(key, { tenant: 'other' });
  await decrypt(CiphertextBlob);
  server.disable(key);
  await nameOf(generate());
  await client.send(new DescribeKeyCommand({ KeyId: key }));
  expect(server.counts.all()).toEqual([
    { operation: 'GenerateDataKey', key, tenant: 'acme', result: 'ok', count: 1 },
    { operation: 'GenerateDataKey', key, tenant: 'other', result: 'ok', count: 1 },
    { operation: 'Decrypt', key, tenant: 'acme', result: 'ok', count: 1 },
    { operation: 'GenerateDataKey', key, tenant: 'acme', result: 'DisabledException', count: 1 },
    { operation: 'DescribeKey', key, result: 'ok', count: 1 },
  ]);
  expect(server.counts.count({ tenant: 'acme' })).toBe(3);
  expect(server.counts.count({ operation: 'GenerateDataKey', result: 'ok' })).toBe(2);
  server.counts.reset();
  expect(server.counts.count()).toBe(0);
});

test('the server stops while calls hang', async () => {
  const hanging = await startKms();
  const impatient = kmsClient(hanging);
  const KeyId = hanging.createKey();
  const hang = hanging.faults.set({ fault: { kind: 'hang' } });
  const call = nameOf(impatient.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' })));
  await eventually(() => hang.waiting === 1);
  await Promise.all([hanging.stop(), hanging.stop()]);
  expect(await call).not.toBe('ok');
  impatient.destroy();
});
