// Resources: opens from settings what every role needs, and releases it in reverse order, even after a partial opening.
import { createAuditLog, noAudit, type AuditLog, type AuditSink } from '../runtime/audit-log.ts';
import { systemClock, type Clock, type WaitMode } from '../runtime/clock.ts';
import { loadConfig, type Config, type Settings, type Environment, type UnknownVariables } from '../runtime/config.ts';
import { startHeartbeat, type Role } from '../maintenance/heartbeat.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { Kms } from '../keys/kms.ts';
import { SealdexError } from '../runtime/errors.ts';
import { silentLog, type Log } from '../runtime/log.ts';
import { createMetrics, type Metrics, type MetricsRegistry } from '../runtime/metrics.ts';
import { closeRedis, openRedis, type Redis, type RedisUse } from '../runtime/redis.ts';
import { VERSION } from '../runtime/version.ts';
import type { Store } from '../store/store.ts';
import { createTenantChanges } from '../tenants/changes.ts';
import { createTenants, type Tenants } from '../tenants/tenants.ts';
import { loadAws, type AwsAdapters } from './aws.ts';
import { openKeyAccess, type KeyAccess } from './key-access.ts';

/** Opened resources, released last in, first out. The first error is thrown after all were released. */
export class ResourceStack {
  readonly #all: (() => void | Promise<void>)[] = [];
  #released: Promise<void> | undefined;

  add<T>(thing: T, release: (thing: T) => void | Promise<void>): T {
    this.#all.push(() => release(thing));
    return thing;
  }

  /** @throws SealdexError `INTERNAL` with the reason `Closed` after the release: the caller used what it had closed */
  ensureOpen(role: 'producer' | 'reader'): void {
    if (!this.#released) return;
    const message = `The ${role} was closed. Open another one, and close it after the last call.`;
    throw new SealdexError('INTERNAL', message, { reason: 'Closed' });
  }

  release(): Promise<void> {
    return (this.#released ??= this.#releaseAll());
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const release of this.#all.toReversed()) {
      try {
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

export interface Resources {
  readonly config: Config;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly audit: AuditLog;
  /** The caller's AWS identity. */
  readonly identity: () => Promise<string>;
  readonly redis: Redis;
  readonly store: Store;
  readonly kms: Kms;
  readonly keyAccess: KeyAccess;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
  readonly connect: (use: RedisUse) => Promise<Redis>;
}

export interface ResourceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  /** Silent by default. */
  readonly logger?: Log | undefined;
  /** Takes precedence over SEALDEX_AUDIT_LOG. */
  readonly audit?: AuditSink | undefined;
  /** A registry of its own by default. */
  readonly registry?: MetricsRegistry | undefined;
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment | undefined;
  /** With the SDK loaded, by default. */
  readonly aws?: AwsAdapters | undefined;
  /** What unknown `SEALDEX_` variables of the environment do; `reject` by default. */
  readonly unknownVariables?: UnknownVariables | undefined;
}

/** Opens the resources and calls `make`. On an error, releases the resources opened so far. */
export async function openResources<T>(
  settings: Settings | undefined,
  use: WaitMode,
  make: (resources: Resources, stack: ResourceStack) => Promise<T>,
  { signal, clock = systemClock, logger: log = silentLog, env, unknownVariables, ...options }: ResourceOptions = {},
): Promise<T> {
  const config = loadConfig(settings, env, unknownVariables);
  const stack = new ResourceStack();
  try {
    const aws = options.aws ?? (await loadAws());
    const metrics = stack.add(createMetrics(options.registry), (opened) => opened.close());
    const sts = stack.add(aws.createIdentity(config), (opened) => opened.close());
    const identity = (): Promise<string> => sts.arn();
    const to = options.audit ?? config.auditLog;
    if (to === undefined) log.info({}, 'audit log disabled: no audit sink and no SEALDEX_AUDIT_LOG');
    const audit = to === undefined ? noAudit : createAuditLog({ to, clock, identity });
    const connect = async (as: RedisUse): Promise<Redis> => {
      signal?.throwIfAborted();
      return stack.add(await openRedis(config, as), closeRedis);
    };
    const redis = await connect(use);
    const subscriber = await connect('subscriber');
    const store = stack.add(aws.createStore(config, use), (opened) => opened.close());
    const kms = stack.add(aws.createKms(config, metrics, audit, use), (opened) => opened.close());
    const changes = createTenantChanges({ redis, subscriber, queue: config.queue, clock });
    const tenants = stack.add(await createTenants({ config, clock, store, changes, audit }), (opened) =>
      opened.close(),
    );
    const keyAccess = stack.add(
      await openKeyAccess({ config, clock, metrics, redis, subscriber, kms, tenants, use, log }),
      (opened) => opened.stop(),
    );
    signal?.throwIfAborted();
    const { ring } = keyAccess;
    return await make(
      { config, clock, metrics, log, audit, identity, redis, store, kms, keyAccess, ring, tenants, connect },
      stack,
    );
  } catch (error) {
    await stack.release().catch(() => {});
    throw error;
  }
}

/** Reports the process as alive, with the data keys that it holds. */
export function startProcessHeartbeat(
  { redis, config, clock, ring, keyAccess, audit, metrics }: Resources,
  stack: ResourceStack,
  role: Role,
  takesUploads?: boolean,
): void {
  const facts = async () => {
    const { keys, oldestMs, tenants } = ring.stats();
    const lastVerifiedAgeMs = keyAccess.revocationCheck.lastVerifiedAgeMs();
    return {
      keys,
      oldestKeyMs: oldestMs,
      lastVerifiedAgeMs,
      auditFailures: audit.failures(),
      tenants,
      kmsCalls: await metrics.by('sealdex_kms_calls_total', 'operation'),
      takesUploads,
      version: VERSION,
    };
  };
  stack.add(startHeartbeat({ redis, queue: config.queue, clock, role, facts }), (heart) => heart.stop());
}
