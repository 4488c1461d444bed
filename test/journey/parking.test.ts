// A tenant disables its KMS key: its jobs wait, cost no calls, affect no other tenant, and finish automatically when the key
// works again.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { changeTenantFile } from '../support/change-tenant-file.ts';
import { eventually } from '../support/eventually.ts';
import { metricsOf, openInstallation, textOf, type Installation } from './installation.ts';
import { documentOf } from '../support/documents.ts';

/** Probes come soon, so that the test does not wait for them. */
const SOON: Settings = { SEALDEX_PROBE_MIN_MS: 200, SEALDEX_PROBE_MAX_MS: 600 };

const cryptoCalls = ({ services: { kms } }: Installation, key: string): number =>
  kms.counts.count({ operation: 'GenerateDataKey', key }) + kms.counts.count({ operation: 'Decrypt', key });

/** Calls for the key with their probes: read while no probe is running. */
async function probed(
  installation: Installation,
  tenant: string,
  key: string,
  port: number,
): Promise<[calls: number, probes: number]> {
  const lease = redisKeys(String(installation.settings.SEALDEX_QUEUE)).lease(`gate:${gateId(keyRef(tenant, key))}`);
  return eventually(async () => {
    const calls = cryptoCalls(installation, key);
    if ((await installation.redis.exists(lease)) === 1) return undefined;
    const probes = Object.values(await metricsOf(port, 'sealdex_probes_total'));
    return cryptoCalls(installation, key) === calls && [calls, probes.reduce((sum, n) => sum + n, 0)];
  });
}

async function enqueue(installation: Installation, tenant: string, ids: readonly string[]): Promise<string[]> {
  const jobs = await Promise.all(
    ids.map((id) =>
      installation.producer.enqueueIndex({ tenant, corpus: 'docs', document: documentOf(id, `Text of ${id}.`) }),
    ),
  );
  return jobs.map(({ jobId }) => jobId);
}

const stateOf = async (installation: Installation, jobId: string): Promise<string> => {
  const { state, code } = await installation.producer.status(jobId);
  return [state, code].join(' ').trim();
};

test('jobs of a disabled key are parked, others continue, and all are stored when the key works again', async () => {
  await using installation = await openInstallation(SOON);
  const key = await installation.tenant('acme');
  await installation.tenant('globex');
  const ids = Array.from({ length: 20 }, (_, index) => `doc ${index}`);
  const queued = await enqueue(installation, 'acme', ids);
  installation.services.kms.disable(key);
  await using worker = await startWorker(installation.settings, { host: '127.0.0.1' });
  await eventually(async () => {
    for (const job of queued) expect(await stateOf(installation, job)).toBe('parked KEY_DISABLED');
    return true;
  });
  const others = await enqueue(installation, 'globex', ids);
  for (const job of others) expect(await installation.end(job)).toBe('done');

  // New content waits under the platform key, without a call for the tenant's.
  const [calls, probes] = await probed(installation, 'acme', key, worker.port);
  const late = await enqueue(installation, 'acme', ['late']);
  await eventually(async () => (await stateOf(installation, late[0]!)) === 'parked KEY_DISABLED');
  const [callsThen, probesThen] = await probed(installation, 'acme', key, worker.port);
  expect(callsThen - calls).toBeLessThanOrEqual(probesThen - probes);

  installation.services.kms.enable(key);
  for (const job of [...queued, ...late]) expect(await installation.end(job)).toBe('done');
  for (const id of [...ids, 'late']) expect(await textOf(installation.reader, 'acme', 'docs', id)).toContain('Textof');
});

test.each(['paused', 'blocked'] as const)(
  'jobs of a tenant %s only in its file, without a gate in Redis, are parked, and released afterwards',
  async (how) => {
    await using installation = await openInstallation(SOON);
    const key = await installation.tenant('acme');
    await installation.tenant('globex');
    const [job = ''] = await enqueue(installation, 'acme', ['doc']);
    const setStop = (operatorStop: { reason: string; since: number } | null) =>
      changeTenantFile(
        installation.operator,
        'acme',
        how === 'paused' ? { paused: operatorStop } : { blocked: { arn: key, stop: operatorStop } },
      );
    await setStop({ reason: 'asked for', since: 1 });
    const code = how === 'paused' ? 'TENANT_PAUSED' : 'KEY_BLOCKED';
    await using _worker = await startWorker(installation.settings, { host: '127.0.0.1' });
    await eventually(async () => (await stateOf(installation, job)) === `parked ${code}`);
    for (const id of ['one', 'two', 'three']) {
      const [other = ''] = await enqueue(installation, 'globex', [id]);
      expect(await installation.end(other)).toBe('done');
    }
    // If it were parked without a shut gate, it would return at once, a hundred times a second.
    expect(await stateOf(installation, job)).toBe(`parked ${code}`);
    expect((await installation.queue.getJob(job))?.attemptsStarted).toBeLessThanOrEqual(2);
    await setStop(null);
    expect(await installation.end(job)).toBe('done');
  },
);
