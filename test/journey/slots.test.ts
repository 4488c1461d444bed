// A tenant whose KMS key does not answer holds a quarter of a worker's slots, and others' jobs go on.
import { expect, test } from 'vitest';
import { startWorker } from '../../src/app/app.ts';
import { eventually } from '../support/eventually.ts';
import { documentOf, openHouse } from './installation.ts';

test('jobs of a key that does not answer make room for others without spending an attempt, and end when it does', async () => {
  await using house = await openHouse({ SEALDEX_CONCURRENCY: 4 });
  const key = await house.tenant('slow');
  await house.tenant('quick');
  const enqueue = async (tenant: string, jobs: number): Promise<string[]> => {
    const results = await Promise.all(
      Array.from({ length: jobs }, (_, at) =>
        house.producer.enqueueIndex({ tenant, corpus: 'docs', document: documentOf(`doc ${at}`, 'Text.') }),
      ),
    );
    return results.map(({ jobId }) => jobId);
  };
  const slow = await enqueue('slow', 8);
  const quick = await enqueue('quick', 4);
  const hang = house.services.kms.faults.set({ match: { key }, fault: { kind: 'hang' } });
  await using _worker = await startWorker(house.settings, { host: '127.0.0.1', log: 'silent' });
  for (const job of quick) expect(await house.end(job)).toBe('done');
  // The code of those that made room; who held a slot all the time meets KMS_FAILED.
  await eventually(async () => {
    const codes = await Promise.all(slow.map(async (job) => (await house.producer.status(job)).code));
    return codes.filter((code) => code === 'DEADLINE').length >= 3;
  });
  for (const job of slow) expect((await house.queue.getJob(job))?.attemptsMade).toBe(0);
  hang.clear();
  for (const job of slow) expect(await house.end(job, 60_000)).toBe('done');
}, 90_000);
