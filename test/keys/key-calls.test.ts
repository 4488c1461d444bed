// Metrics of the adapter for calls that examine a key.
import { KMS_ERRORS } from '@sealdex/local-aws';
import { expect, test } from 'vitest';
import { createKeyCalls } from '../../src/keys/aws/key-calls.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { openLocalKms } from '../support/local-kms.ts';
import { contextOf } from './fixture.ts';

test('metrics count each call by operation and result', async () => {
  await using local = await openLocalKms();
  const metrics = createMetrics();
  const calls = createKeyCalls(local.config, noAudit, metrics);
  const key = keyRef('acme', local.kms.createKey());
  local.kms.faults.set({ match: { key: key.keyArn, operation: 'Encrypt' }, fault: KMS_ERRORS.accessDenied });
  await calls.describe(key);
  const refused = calls.encrypt(key, Buffer.alloc(32), contextOf(key.tenant));
  await expect(refused).rejects.toMatchObject({ code: 'KEY_DENIED' });
  calls.close();
  expect(await metrics.by('sealdex_kms_calls_total', 'operation')).toEqual({ DescribeKey: 1, Encrypt: 1 });
  expect(await metrics.by('sealdex_kms_calls_total', 'result')).toEqual({ ok: 1, KEY_DENIED: 1 });
});
