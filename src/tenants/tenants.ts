// Tenants: their files (plan, KMS key, options), cached and invalidated by changes of other processes. Decides which key serves a
// tenant; the key ring uses it.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { AuditLog } from '../runtime/audit-log.ts';
import { MAX_SKEW_MS, orAbort, type Clock } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { checkName, type Plan } from '../runtime/names.ts';
import type { Store } from '../store/store.ts';
import { listTenantNames } from '../store/tenants.ts';
import type { TenantChanges } from './changes.ts';
import { audited } from './audited.ts';
import { loadTenantFile, putTenantFile } from './file.ts';
import { checkPlan, type TenantFileChange } from './merge.ts';
import { blockedKeysIn, operatorStopIn, type OperatorStop } from './operator-stop.ts';
import type { ReencryptionFacts, TenantFile } from './shape.ts';

export type { TenantChange } from './merge.ts';
export type { TenantFile } from './shape.ts';

/** A tenant and the KMS key for its new data keys: its own, or the platform key. */
export interface Tenant extends KeyRef {
  readonly plan: Plan;
  /** Every KMS key that may encrypt the tenant's documents; a message under any other is rejected. */
  readonly readableArns: ReadonlySet<string>;
  /** Effect on content that arrives while the KMS key is unusable. */
  readonly whenKeyShut: 'park' | 'refuse';
  /** True keeps uploaded files, encrypted, beside the extracted text. */
  readonly keepOriginals: boolean;
  /** The operator stop that applies to its current key. */
  readonly operatorStop: OperatorStop | undefined;
  /** Re-encryption with the current KMS key; undefined if the key was never changed. */
  readonly reencryption: ReencryptionFacts | undefined;
  /** KMS keys, current or former, that must not be used. */
  readonly blocked: ReadonlyMap<string, OperatorStop>;
}

export interface Tenants {
  /**
   * A deleted tenant is unknown. @throws SealdexError `TENANT_UNKNOWN`, `TENANT_KEY_INVALID`, `PLATFORM_TENANTS`, `STORE_FAILED`
   */
  get(tenant: string, signal?: AbortSignal): Promise<Tenant>;
  /** Bypasses and renews the cache. Throws as `get`. */
  fresh(tenant: string): Promise<Tenant>;
  /** Reads the file from S3, bypassing the cache; also of a deleted tenant. */
  show(tenant: string): Promise<TenantFile>;
  /** Creates the tenant, or changes its plan. @throws SealdexError `TENANT_KEY_INVALID`, `TENANT_CHANGED` */
  put(tenant: string, change: TenantFileChange): Promise<{ made: boolean; file: TenantFile }>;
  names(): AsyncGenerator<string>;
  close(): void;
}

/** The operator stop that applies to a KMS key of the tenant, if any: a pause applies to all of them. */
export const operatorStopOf = ({ operatorStop, blocked }: Tenant, keyArn: string): OperatorStop | undefined =>
  operatorStop?.code === 'TENANT_PAUSED' ? operatorStop : blocked.get(keyArn);

/** Maximum time that a process uses a cached file. */
export const CACHE_MS = 300_000;
/** Maximum duration of work that starts with a cached tenant: a stream of an upload takes the longest, a job half of it. */
export const MAX_WORK_MS = 600_000;

/**
 * Maximum time after a change of a tenant's file in which work uses its old content. A process that missed the change caches the
 * tenant for up to CACHE_MS, and may then start the longest work. Two clocks may differ from that of Redis, one in each
 * direction. Responses of all live processes would not shorten it: they do not cover work in progress, or processes that Redis
 * has lost.
 */
export const SETTLED_MS = CACHE_MS + MAX_WORK_MS + 2 * MAX_SKEW_MS;

const CACHE_ENTRIES = 10_000;

interface Cached {
  readonly until: number;
  readonly tenant: Tenant;
}

export interface TenantsDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly store: Store;
  readonly changes: TenantChanges;
  readonly audit: AuditLog;
}

export async function createTenants({ config, clock, store, changes, audit }: TenantsDeps): Promise<Tenants> {
  const cache = new Map<string, Cached>();
  const flights = new Map<string, Promise<Tenant>>();
  /** Incremented by every invalidation: results of earlier reads are not cached. */
  let forgotten = 0;

  const forget = (tenant: string): void => {
    forgotten += 1;
    cache.delete(tenant);
    flights.delete(tenant);
  };
  const forgetAll = (): void => {
    forgotten += 1;
    cache.clear();
    flights.clear();
  };
  const subscription = await changes.subscribe({ onChange: forget, onGap: forgetAll });

  async function load(tenant: string): Promise<Tenant> {
    const before = forgotten;
    const askedAt = clock.monotonic();
    const loaded = await loadTenantFile(store, tenant);
    if (!loaded || loaded.file.deleted) throw new SealdexError('TENANT_UNKNOWN');
    const made = tenantOf(loaded.file, config);
    if (subscription.isOn() && forgotten === before) {
      cache.delete(tenant);
      if (cache.size >= CACHE_ENTRIES) cache.delete(cache.keys().next().value!);
      cache.set(tenant, { until: askedAt + CACHE_MS, tenant: made });
    }
    return made;
  }

  return {
    async get(tenant, signal) {
      signal?.throwIfAborted();
      const cached = cache.get(tenant);
      if (cached && cached.until > clock.monotonic()) return cached.tenant;
      const running = flights.get(tenant);
      if (running) return orAbort(running, signal);
      const flight: Promise<Tenant> = load(tenant).finally(
        () => flights.get(tenant) === flight && flights.delete(tenant),
      );
      flights.set(tenant, flight);
      return orAbort(flight, signal);
    },

    fresh(tenant) {
      cache.delete(tenant);
      return load(tenant);
    },

    async show(tenant) {
      const loaded = await loadTenantFile(store, checkName(tenant, 'tenant'));
      if (!loaded)
        throw new SealdexError(
          'TENANT_UNKNOWN',
          `Tenant ${tenant} does not exist. Create it: sealdex tenants put ${tenant} --plan pro`,
        );
      return loaded.file;
    },

    async put(tenant, change) {
      const written = await audited(audit, checkName(tenant, 'tenant'), change, () =>
        putTenantFile(store, tenant, change),
      );
      await changes.publish(tenant);
      return written;
    },

    names: () => listTenantNames(store),
    close() {
      subscription.stop();
      forgetAll();
    },
  };
}

/** The current and former keys of the tenant; for a tenant without one of its own, the platform keys. */
export const readableArnsOf = ({ kmsKeyArn, formerKeyArns }: TenantFile, config: Config): ReadonlySet<string> =>
  new Set([...(kmsKeyArn === undefined ? platformArns(config) : [kmsKeyArn]), ...formerKeyArns]);

function tenantOf(file: TenantFile, config: Config): Tenant {
  checkPlan(file.plan, file.kmsKeyArn);
  const keyArn = file.kmsKeyArn ?? config.platformKeyArn;
  return Object.freeze({
    ...keyRef(file.tenant, keyArn),
    plan: file.plan,
    readableArns: readableArnsOf(file, config),
    whenKeyShut: file.whenKeyShut,
    keepOriginals: file.keepOriginals,
    reencryption: file.reencryption,
    operatorStop: operatorStopIn(file, keyArn),
    blocked: blockedKeysIn(file),
  });
}
