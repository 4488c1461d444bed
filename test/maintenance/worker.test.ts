// Maintenance by a worker for all sealdex processes.
import { expect, it } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { metricsOf } from '../journey/installation.ts';
import { eventually } from '../support/eventually.ts';
import { openMaintenanceFixture } from './fixture.ts';

it('a worker runs due sweeps, and their metrics exist before', async () => {
  await using fixture = await openMaintenanceFixture();
  const { keys } = fixture.deps;
  await fixture.redis.hset(keys.chores, 'intake-sweep', '0', 'tombstone-sweep', '0');
  const settings = { ...fixture.services.settings, SEALDEX_PORT: 0 };
  await using worker = await startWorker(settings, { host: '127.0.0.1' });
  const alarms = await metricsOf(worker.port, 'sealdex_sweep_alarms_total');
  expect(alarms).toEqual({ sealdex_sweep_alarms_total: 0 });
  const areDone = await eventually(async () => {
    const due = await fixture.redis.hmget(keys.chores, 'intake-sweep', 'tombstone-sweep');
    // A failed one would be due in minutes.
    return due.every((at) => Number(at) > Date.now() + 3_600_000);
  });
  expect(areDone).toBe(true);
});
