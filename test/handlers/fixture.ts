// The handler of jobs on doubles of the KMS, the store and the shared state of processes. No network.
import { KeyRing } from '../../src/keys/key-ring.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { createTenants, type TenantChange } from '../../src/tenants/tenants.ts';
import { createForge, type Forge } from '../support/forge.ts';
import { createJobRunner, type JobRunner } from '../support/job-runner.ts';
import { MemoryKms } from '../support/memory-kms.ts';
import { memorySharedKeys } from '../support/memory-shared-keys.ts';
import { MemoryBucket } from '../support/memory-store.ts';
import { memoryTenantChanges } from '../support/memory-tenant-changes.ts';

export interface HandlerFixture extends Forge, JobRunner, Disposable {
  readonly bucket: MemoryBucket;
  readonly kms: MemoryKms;
  /** Creates a tenant with its own KMS key. Returns the key's ARN. */
  tenant(name: string, change?: Partial<TenantChange>): Promise<string>;
}

export interface HandlerFixtureOptions {
  /** Duration of a hanging KMS call; by default longer than any test. */
  readonly kmsDeadlineMs?: number;
  /** The clock for the encryption of job content. */
  readonly forgeClock?: Clock;
}

const NEVER_MS = 3_600_000;

export async function openHandlerFixture({
  kmsDeadlineMs = NEVER_MS,
  forgeClock = systemClock,
}: HandlerFixtureOptions = {}): Promise<HandlerFixture> {
  const clock = systemClock;
  const bucket = new MemoryBucket();
  const kms = new MemoryKms({ deadlineMs: kmsDeadlineMs });
  const { platformKeyArn } = kms;
  const config = loadConfig(
    {
      // No server listens there, and no client connects to it.
      REDIS_URL: 'redis://127.0.0.1:1',
      SEALDEX_BUCKET: 'no-bucket',
      SEALDEX_PLATFORM_KEY_ARN: platformKeyArn,
      AWS_REGION: 'us-west-2',
    },
    {},
  );
  const store = bucket.connect({ deadlineMs: NEVER_MS });
  const shared = memorySharedKeys();
  const ring = new KeyRing({ clock, kms: kms.connect(), shared, use: 'patient' });
  const producerRing = new KeyRing({ clock: forgeClock, kms: kms.connect(), shared, use: 'patient' });
  const tenants = await createTenants({ config, clock, store, changes: memoryTenantChanges(), audit: noAudit });
  return {
    ...createForge({ store, queue: config.queue, ring: producerRing, platformKeyArn }),
    ...createJobRunner({ config, store, ring, tenants }),
    bucket,
    kms,
    async tenant(name, change) {
      const kmsKeyArn = kms.createKey();
      await tenants.put(name, { plan: 'pro', kmsKeyArn, ...change });
      return kmsKeyArn;
    },
    [Symbol.dispose]() {
      tenants.close();
      ring.close();
      producerRing.close();
    },
  };
}
