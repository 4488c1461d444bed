// A job forge on the services of an installation.
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import { KeyRing } from '../../src/keys/key-ring.ts';
import { createSharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { createForge, type Forge } from '../support/forge.ts';
import type { Installation } from './installation.ts';

export function openForge({
  settings,
  store,
  redis,
}: Pick<Installation, 'settings' | 'store' | 'redis'>): Forge & Disposable {
  const config = loadConfig(settings, {});
  const { platformKeyArn } = config;
  const kms = createKms(config, createMetrics(), noAudit, 'patient');
  const shared = createSharedKeys(redis, config.queue, systemClock);
  const ring = new KeyRing({ clock: systemClock, kms, shared, use: 'patient' });
  return {
    ...createForge({ store, queue: config.queue, ring, platformKeyArn }),
    [Symbol.dispose]() {
      ring.close();
      kms.close();
    },
  };
}
