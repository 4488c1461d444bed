// The handler of jobs on the services of an installation, without the queue.
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { openRedis } from '../../src/runtime/redis.ts';
import { createTenantChanges } from '../../src/tenants/changes.ts';
import { createTenants } from '../../src/tenants/tenants.ts';
import type { Forge } from '../support/forge.ts';
import { createJobRunner, type JobRunner } from '../support/job-runner.ts';
import { openForge } from './forge.ts';
import { openInstallation, type Installation } from './installation.ts';

export interface InstallationRunner extends Forge, JobRunner, AsyncDisposable {
  readonly installation: Installation;
}

export async function openInstallationRunner(): Promise<InstallationRunner> {
  await using opened = new AsyncDisposableStack();
  const installation = opened.use(await openInstallation());
  const { settings, store } = installation;
  const forge = opened.use(openForge(installation));
  const config = loadConfig(settings, {});
  const { queue } = config;
  const clock = systemClock;
  const redis = opened.adopt(await openRedis(config, 'patient'), (redis) => redis.disconnect());
  const subscriber = opened.adopt(await openRedis(config, 'subscriber'), (redis) => redis.disconnect());
  const kms = opened.adopt(createKms(config, createMetrics(), noAudit, 'patient'), (kms) => kms.close());
  const shared = createSharedKeys(redis, queue, clock);
  const ring = opened.adopt(new KeyRing({ clock, kms, shared, use: 'patient' }), (ring) => ring.close());
  const changes = createTenantChanges({ redis, subscriber, queue, clock });
  const tenants = opened.adopt(await createTenants({ config, clock, store, changes, audit: noAudit }), (tenants) =>
    tenants.close(),
  );
  const runner = createJobRunner({ config, store, ring, tenants });
  const all = opened.move();
  return {
    ...runner,
    forge: (request) => forge.forge(request),
    installation,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
