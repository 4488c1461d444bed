// Redis loses job and marker before a producer confirms them: no result reports the document as accepted.
import { expect, it } from 'vitest';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { FingerprintKey } from '../../src/intake/fingerprint-key.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { createProducerFrom } from '../../src/producer/producer.ts';
import { openQueue, type JobQueue } from '../../src/queue/bull/queues.ts';
import { createTenantChanges } from '../../src/tenants/changes.ts';
import { createTenants } from '../../src/tenants/tenants.ts';
import { documentOf, openScene, refusalOf } from './fixture.ts';

it('a job deleted with its marker before its confirmation is REDIS_FAILED, and the same key queues it again', async () => {
  await using opened = new AsyncDisposableStack();
  const scene = opened.use(await openScene());
  const { config, redis, store } = scene;
  await scene.tenant('acme');
  const kms = opened.adopt(createKms(config, createMetrics(), noAudit, 'prompt'), (kms) => kms.close());
  const shared = createSharedKeys(redis, config.queue, systemClock);
  const ring = opened.adopt(new KeyRing({ clock: systemClock, kms, shared, use: 'prompt' }), (ring) => ring.close());
  const queue = opened.adopt(openQueue(config, redis, systemClock), (queue) => queue.close());
  const subscriber = opened.adopt(redis.duplicate(), (subscriber) => subscriber.disconnect());
  const changes = createTenantChanges({ redis, subscriber, queue: config.queue, clock: systemClock });
  const tenants = opened.adopt(
    await createTenants({ config, clock: systemClock, store, changes, audit: noAudit }),
    (tenants) => tenants.close(),
  );
  let losses = 1;
  const forgetful: JobQueue = {
    ...queue,
    async confirm(jobId) {
      if (losses-- > 0) await redis.del(...(await redis.keys(`sealdex:{${config.queue}}:*`)));
      return queue.confirm(jobId);
    },
  };
  const producer = createProducerFrom(
    {
      config,
      clock: systemClock,
      queue: forgetful,
      tenants,
      intake: {
        store,
        queue: config.queue,
        ring,
        inlineBytes: config.inlineBytes,
        platformKeyArn: config.platformKeyArn,
        refusal: () => undefined,
      },
      fingerprintKey: new FingerprintKey({ kms, store, clock: systemClock, config }),
    },
    () => {},
  );
  const request = { tenant: 'acme', corpus: 'docs', document: documentOf('gone'), idempotencyKey: 'gone' };
  expect(await refusalOf(() => producer.enqueueIndex(request))).toMatchObject({
    code: 'REDIS_FAILED',
    reason: 'JobGone',
  });
  const again = await producer.enqueueIndex(request);
  expect(again).toMatchObject({ status: 'queued' });
  expect(await scene.jobs()).toEqual([again.jobId]);
  expect(await producer.enqueueIndex(request)).toMatchObject({ status: 'duplicate', state: 'queued' });
});
