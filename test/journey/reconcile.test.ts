// The audit log of an installation compared with the local KMS log: every call of producer, worker, reader and operator,
// including denied and repeated ones.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { KMS_ERRORS } from '@sealdex/local-aws';
import { reconcile, type Line } from '../audit/fixture.ts';
import { openInstallation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

test('audit log and CloudTrail match call by call, and a lost or changed line is found', async () => {
  await using installation = await openInstallation();
  await using worker = await startWorker(installation.settings);
  const { kms, auditFile } = installation.services;
  const { operator } = installation;
  const store = async (tenant: string, id: string): Promise<void> => {
    const document = documentOf(id, `Text of ${id}.`);
    const { jobId } = await installation.producer.enqueueIndex({ tenant, corpus: 'docs', document });
    expect(await installation.end(jobId)).toBe('done');
  };

  const [key, next] = [await installation.tenant('acme'), kms.createKey()];
  await installation.tenant('globex');
  for (const tenant of ['acme', 'globex']) await store(tenant, 'one');
  await installation.reader.metadata({ tenant: 'acme', corpus: 'docs', id: 'one' });
  // The second attempt of the SDK is a separate call on both sides.
  kms.faults.set({ match: { key }, fault: { kind: 'error', name: 'KMSInternalException', status: 500 }, times: 1 });
  expect((await operator.checkKey('acme', key)).canAttach).toBe(true);
  kms.faults.clear();
  kms.faults.set({ match: { key, operation: 'Encrypt' }, fault: KMS_ERRORS.throttled });
  await expect(operator.checkKey('acme', key)).rejects.toMatchObject({ code: 'KMS_THROTTLED' });
  kms.faults.clear();
  kms.faults.set({ match: { key, operation: 'ReEncrypt' }, fault: KMS_ERRORS.accessDenied });
  expect((await operator.checkKey('acme', key)).canAttach).toBe(false);
  kms.faults.clear();
  kms.disable(key);
  await using fresh = await installation.freshReader();
  await expect(fresh.metadata({ tenant: 'acme', corpus: 'docs', id: 'one' })).rejects.toMatchObject({
    code: 'KEY_DISABLED',
  });
  kms.enable(key);
  await operator.setKey('acme', next);
  await store('acme', 'two');
  // No calls are made from now on.
  await worker.stop();

  const lines = (): Line[] =>
    readFileSync(auditFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  const all = lines();
  const trail = kms.trail();
  const found = await reconcile(all, trail, { tenant: 'acme' });
  expect(found).toMatchObject({ agrees: true, different: [], onlyInTrail: [], onlyInAudit: [], unanswered: [] });
  // AWS logs no throttled call; the SDK tried twice.
  expect(found.refused.map(({ result }) => result)).toEqual(['ThrottlingException', 'ThrottlingException']);
  const results = new Set(all.filter(({ key: of }) => of === key).map(({ result }) => result));
  expect(results).toEqual(
    new Set([
      'ok',
      'KMSInternalException',
      'InvalidCiphertextException',
      'ThrottlingException',
      'AccessDeniedException',
      'DisabledException',
    ]),
  );
  expect(found.matched).toBeGreaterThan(25);

  const made = all.find(({ operation, key: of }) => operation === 'GenerateDataKey' && of === next)!;
  const { requestId } = made;
  expect(
    await reconcile(
      all.filter((line) => line !== made),
      trail,
      { tenant: 'acme' },
    ),
  ).toMatchObject({
    agrees: false,
    onlyInTrail: [{ requestId }],
  });
  const changed = all.map((line) => (line === made ? { ...line, period: '2000-01-01T00:00Z' } : line));
  expect(await reconcile(changed, trail, { tenant: 'acme' })).toMatchObject({
    agrees: false,
    different: [{ call: { requestId }, differences: [{ what: 'period' }] }],
  });
});
