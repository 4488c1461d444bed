// The audit log: the lines of each KMS call with a tenant's key, and of each change of a tenant.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { withAuditContext, createAuditLog, type AuditLog } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { createKeyCalls } from '../../src/keys/aws/key-calls.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { contextOf } from '../keys/fixture.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { testServices } from '../support/services.ts';

const services = await testServices();
const config = loadConfig(services.settings, {});
const metrics = createMetrics();
const audit: AuditLog = createAuditLog({
  to: services.auditFile,
  clock: systemClock,
  identity: async () => 'arn:aws:sts::000000000000:assumed-role/operators/jo',
});
const kms = createKms(config, metrics, audit, 'prompt');
const calls = createKeyCalls(config, audit);

beforeEach(() => {
  services.kms.faults.clear();
  rmSync(services.auditFile, { force: true });
});
afterAll(async () => {
  kms.close();
  calls.close();
  await services[Symbol.asyncDispose]();
});

const lines = (): Record<string, unknown>[] =>
  readFileSync(services.auditFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const CONTEXT = contextOf('acme');

test('a call with a tenant’s key is logged in one line with its purpose, its caller and AWS’ request id', async () => {
  const key = services.kms.createKey();
  const { plaintext } = await withAuditContext({ job: 'j1' }, () => kms.generateDataKey(keyRef('acme', key), CONTEXT));
  plaintext.fill(0);
  const [line, ...more] = lines();
  expect(more).toEqual([]);
  expect(line).toEqual({
    audit: 1,
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    tenant: 'acme',
    operation: 'GenerateDataKey',
    key,
    period: CONTEXT.period,
    purpose: 'documents',
    result: 'ok',
    requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    process: expect.stringMatching(new RegExp(`/${process.pid}$`)),
    job: 'j1',
  });
});

test('a denied call is logged with the name of AWS’ error, and so is the DescribeKey after it', async () => {
  const key = services.kms.createKey();
  services.kms.disable(key);
  await expect(kms.generateDataKey(keyRef('acme', key), CONTEXT)).rejects.toMatchObject({ code: 'KEY_DISABLED' });
  expect(lines()).toMatchObject([
    { tenant: 'acme', operation: 'GenerateDataKey', result: 'DisabledException' },
    { tenant: 'acme', operation: 'DescribeKey', key, result: 'ok', requestId: expect.any(String) },
  ]);
});

test('each attempt is logged, since AWS’ own log has each', async () => {
  const key = services.kms.createKey();
  services.kms.faults.set({
    match: { key },
    times: 1,
    fault: { kind: 'error', name: 'KMSInternalException', status: 500 },
  });
  const { plaintext } = await kms.generateDataKey(keyRef('acme', key), CONTEXT);
  plaintext.fill(0);
  const [first, second] = lines();
  expect([first?.['result'], second?.['result']]).toEqual(['KMSInternalException', 'ok']);
  expect(first?.['requestId']).not.toBe(second?.['requestId']);
});

test('a call without a response is logged as such: it may have reached KMS', async () => {
  using _real = realDeadlines();
  const key = services.kms.createKey();
  services.kms.faults.set({ match: { key }, fault: { kind: 'hang' } });
  await expect(kms.decrypt(keyRef('acme', key), Buffer.alloc(184), CONTEXT)).rejects.toMatchObject({
    code: 'KMS_FAILED',
  });
  services.kms.faults.clear();
  await vi.waitFor(() => expect(lines()).toMatchObject([{ operation: 'Decrypt', key, result: 'unanswered' }]));
  expect(lines()[0]).not.toHaveProperty('requestId');
});

test.each([
  ['the key ring', () => createKms(config, metrics, audit, 'patient')],
  ['a check', () => createKeyCalls(config, audit)],
])('a call in progress is logged once, when %s is closed, since the process may end', async (_, open) => {
  const key = services.kms.createKey();
  const hang = services.kms.faults.set({ match: { key }, fault: { kind: 'hang' } });
  const closing = open();
  const waiting = closing.decrypt(keyRef('acme', key), Buffer.alloc(184), CONTEXT);
  await vi.waitFor(() => expect(hang.waiting).toBe(1));
  expect(existsSync(services.auditFile)).toBe(false);
  closing.close();
  expect(lines()).toMatchObject([{ tenant: 'acme', operation: 'Decrypt', key, result: 'unanswered' }]);
  await expect(waiting).rejects.toMatchObject({ code: 'KMS_FAILED' });
  await expect(closing.decrypt(keyRef('acme', key), Buffer.alloc(184), CONTEXT)).rejects.toMatchObject({
    reason: 'Closed',
  });
  expect(lines()).toHaveLength(1);
  expect(hang.met).toBe(1);
});

test('a command’s calls have its name and user, also those that inspect a key without using it', async () => {
  const key = services.kms.createKey();
  await withAuditContext({ command: 'keys check' }, async () => {
    await calls.describe(keyRef('acme', key));
    await calls.encrypt(keyRef('acme', key), Buffer.alloc(32), CONTEXT);
    await calls.reEncrypt(
      keyRef('acme', key),
      await calls.encrypt(keyRef('acme', key), Buffer.alloc(32), CONTEXT),
      CONTEXT,
    );
  });
  const asker = { command: 'keys check', identity: 'arn:aws:sts::000000000000:assumed-role/operators/jo' };
  expect(lines()).toMatchObject(
    ['DescribeKey', 'Encrypt', 'Encrypt', 'ReEncrypt'].map((operation) => ({
      tenant: 'acme',
      operation,
      key,
      result: 'ok',
      ...asker,
    })),
  );
});

test('a call with the platform key is not logged, since it is no tenant’s', async () => {
  const { plaintext } = await kms.generateDataKey(keyRef('acme', config.platformKeyArn), CONTEXT);
  plaintext.fill(0);
  expect(existsSync(services.auditFile)).toBe(false);
});
