// Key access: opens gates, the key monitor and the key ring, and connects them.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Clock, WaitMode } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { readHeartbeats } from '../maintenance/heartbeat.ts';
import { startRevocationCheck, type RevocationCheck } from '../keys/revocation-check.ts';
import { KeyRing } from '../keys/key-ring.ts';
import type { Kms } from '../keys/kms.ts';
import { createSharedKeys } from '../keys/shared-keys.ts';
import { tryKey } from '../keys/try-key.ts';
import { Listeners } from '../runtime/listeners.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { openGates, type Gates } from '../parking/gate.ts';
import { createKeyMonitor, type KeyMonitor, type PlatformSuspicion } from '../parking/key-monitor.ts';
import { redisKeys, type Redis } from '../runtime/redis.ts';
import { operatorStopOf, type Tenants } from '../tenants/tenants.ts';

export interface KeyAccessDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly kms: Kms;
  readonly tenants: Tenants;
  readonly use: WaitMode;
  readonly log: Log;
}

export interface KeyAccess {
  readonly gates: Gates;
  readonly keyMonitor: KeyMonitor;
  readonly ring: KeyRing;
  /** Raised if the errors in this process point to the platform. */
  readonly platformSuspected: Pick<Listeners<PlatformSuspicion>, 'add'>;
  /** Verifies the keys in memory with KMS. */
  readonly revocationCheck: RevocationCheck;
  /** Real calls, past the key ring. @throws SealdexError of KMS */
  readonly tryKey: (key: KeyRef) => Promise<void>;
  readonly platformKeyWorks: () => Promise<boolean>;
  stop(): Promise<void>;
}

/** In place of the tenant in the encryption context of calls that test the platform key. */
const NO_TENANT = '-';

export async function openKeyAccess(deps: KeyAccessDeps): Promise<KeyAccess> {
  const { config, clock, metrics, redis, subscriber, kms, tenants, use, log } = deps;
  const keys = redisKeys(config.queue);
  const platformSuspected = new Listeners<PlatformSuspicion>();
  const gates = await openGates({ redis, subscriber, keys, clock, times: config, log });
  const platformKeyWorks = (): Promise<boolean> =>
    succeeds(tryKey(deps, keyRef(NO_TENANT, config.platformKeyArn), 'intake'));
  const keyMonitor = createKeyMonitor({
    gates,
    redis,
    keys,
    clock,
    platformKeyArn: config.platformKeyArn,
    operatorStopOf: async ({ tenant, keyArn }) => operatorStopOf(await tenants.fresh(tenant), keyArn),
    currentKeyOf: async (tenant) => (await tenants.get(tenant).catch(() => undefined))?.keyArn,
    works: (key) => succeeds(tryKey(deps, key, 'documents')),
    platformKeyWorks,
    keysInUse: async () =>
      new Set((await readHeartbeats(redis, config.queue)).flatMap((heartbeat) => heartbeat.tenants)).size,
    someKeys: () => someKeys(deps),
    onPlatformSuspected: (code) => platformSuspected.notify(code),
  });
  const ring = new KeyRing({
    clock,
    kms,
    shared: createSharedKeys(redis, config.queue, clock),
    use,
    watch: keyMonitor,
    onUse: (result) => metrics.count('sealdex_key_uses_total', { result }),
    onWipe: (reason) => metrics.count('sealdex_key_wipes_total', { reason }),
  });
  // A gate that closed before has no data keys in this process.
  gates.onClosed((record) => void ring.wipe(record));
  const revocationCheck = startRevocationCheck({ clock, redis, keys, ring, keyCheckMs: config.keyCheckMs });
  return {
    gates,
    keyMonitor,
    ring,
    platformSuspected,
    revocationCheck,
    tryKey: (key) => tryKey(deps, key, 'documents'),
    platformKeyWorks,
    async stop() {
      await revocationCheck.stop();
      await gates.stop();
      ring.close();
    },
  };
}

/** Number of tenants that are read to find some with their own KMS key. */
const MAX_TENANTS_READ = 200;
const MAX_KEYS = 10;

/** Random KMS keys of tenants, first of tenants with a data key in memory in any process. */
async function someKeys({ config, redis, tenants }: KeyAccessDeps): Promise<KeyRef[]> {
  const inUse = new Set((await readHeartbeats(redis, config.queue)).flatMap((heartbeat) => heartbeat.tenants));
  const any: string[] = [];
  for await (const name of tenants.names()) if (any.push(name) >= MAX_TENANTS_READ) break;
  const found: KeyRef[] = [];
  for (const tenant of new Set([...shuffled([...inUse]), ...shuffled(any)])) {
    const keyArn = (await tenants.get(tenant).catch(() => undefined))?.keyArn;
    if (keyArn !== undefined && keyArn !== config.platformKeyArn) found.push(keyRef(tenant, keyArn));
    if (found.length >= MAX_KEYS) break;
  }
  return found;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item): [number, T] => [Math.random(), item])
    .toSorted(([one], [other]) => one - other)
    .map(([, item]) => item);
}

/** Throttling counts as success: KMS responds. */
async function succeeds(tried: Promise<void>): Promise<boolean> {
  try {
    await tried;
    return true;
  } catch (error) {
    return error instanceof SealdexError && error.code === 'KMS_THROTTLED';
  }
}
