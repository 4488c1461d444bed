// Tenant operations of the operator: tenants, their KMS keys and their re-encryption as one interface.
import { keyRef } from '../runtime/key-ref.ts';
import { SealdexError } from '../runtime/errors.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';
import { checkName, PLANS, PLATFORM, WHEN_KEY_SHUT, type OriginToAllow } from '../runtime/names.ts';
import type { Reencryption, ReencryptionProgress } from '../reencryption/reencryption.ts';
import { listCorpusNames } from '../store/documents.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { Store } from '../store/store.ts';
import type { TenantFileChange } from '../tenants/merge.ts';
import type { TenantChange, TenantFile } from '../tenants/tenants.ts';
import { attach } from './attach.ts';
import { countKeys } from './count-keys.ts';
import type { KeyCheck } from './key-check.ts';
import { fileOf } from './key-tenants.ts';
import { tenantFiles, type ListedTenant } from './tenant-files.ts';
import { chosenFor, keyEntry, setKey, type KeyChanged, type SetKeyDeps, type SetKeyOptions } from './set-key.ts';

export type { PassCounts } from '../reencryption/reencryption.ts';
export type { OriginToAllow, Plan, WhenKeyShut } from '../runtime/names.ts';
export type { TenantChange } from '../tenants/tenants.ts';

/** Result of `putTenant` and `makeTenant`. */
export interface PutTenant {
  /** True if the tenant is new. */
  readonly made: boolean;
  /** File of the tenant after the change. */
  readonly file: TenantFile;
  /** Result of the check of its KMS key; only from `makeTenant`. */
  readonly check?: KeyCheck;
}

/** Options of `makeTenant`. */
export type AttachOptions = Pick<SetKeyOptions, 'shared' | 'allowOrigin'>;

/**
 * Content of jobs that is under the platform key instead of the tenant's own: it arrived while that key was unusable or the tenant
 * was paused.
 */
export interface PlatformKeyContent {
  /** Number of these jobs: waiting, parked or dead. */
  readonly jobs: number;
  /** Size of the encrypted content in bytes. */
  readonly bytes: number;
}

/** All throw `TENANT_UNKNOWN`, `PLATFORM_TENANTS`, `STORE_FAILED`, `REDIS_FAILED`. */
export interface TenantOperator {
  /** Names of all tenants in order, read page by page. */
  tenantNames(): AsyncGenerator<string>;
  /** Files of all tenants in the order of their names. A malformed file is an entry with its error. */
  tenantFiles(): AsyncGenerator<ListedTenant>;
  /** The tenant's file, read from the bucket. */
  tenant(tenant: string): Promise<TenantFile>;
  /**
   * Names of the corpora of a tenant, read page by page. A corpus whose documents were all deleted is included until the tombstone
   * sweep.
   */
  corpora(tenant: string): AsyncGenerator<string>;
  /**
   * Creates a tenant, or changes its plan and options. Does not check a KMS key that is given here.
   * @throws SealdexError `DOCUMENT_INVALID` with field `tenant`, `plan` or `whenKeyShut`, `TENANT_KEY_INVALID`, `TENANT_CHANGED`
   */
  putTenant(tenant: string, change: TenantChange): Promise<PutTenant>;
  /**
   * Creates a tenant with a KMS key of its own, which is checked first.
   * @throws SealdexError as `putTenant`, and those of KMS
   */
  makeTenant(tenant: string, change: TenantChange & { kmsKeyArn: string }, options?: AttachOptions): Promise<PutTenant>;
  /**
   * Changes the KMS key of the tenant, which is checked first, or returns it to `platform`. Starts the re-encryption.
   * @throws SealdexError `TENANT_KEY_INVALID`, `TENANT_CHANGED`, those of KMS
   */
  setKey(tenant: string, to: string, options?: SetKeyOptions): Promise<KeyChanged>;
  /** Re-encrypts all stored objects under the current KMS key, from the first object on. @throws SealdexError `NOT_FOUND` */
  reencrypt(tenant: string): Promise<void>;
  /** Progress of the re-encryption of a tenant. */
  reencryption(tenant: string): Promise<ReencryptionProgress>;
  /**
   * Content of the tenant that waits under the platform key. Read from Redis, without a check whether the tenant exists.
   * @throws SealdexError `REDIS_FAILED`
   */
  platformKeyContent(tenant: string): Promise<PlatformKeyContent>;
  /** Number of the tenant's objects by the ARN of their KMS key. Reads the beginning of every object. */
  countKeys(tenant: string, signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

export interface TenantOperatorDeps extends SetKeyDeps {
  readonly reencryption: Reencryption;
  readonly store: Store;
  readonly queue: Pick<JobQueue, 'platformContent'>;
}

const CHANGE: FieldNames<TenantFileChange> = {
  plan: true,
  kmsKeyArn: true,
  whenKeyShut: true,
  keepOriginals: true,
  keyEntry: true,
  key: true,
  paused: true,
  blocked: true,
  deleted: true,
};
const ATTACH: FieldNames<AttachOptions> = { shared: true, allowOrigin: true };
const SET_KEY: FieldNames<SetKeyOptions> = { ...ATTACH, whenKeyShut: true };

export function createTenantOperator(deps: TenantOperatorDeps): TenantOperator {
  const { tenants, reencryption } = deps;
  const named = (tenant: string): string => checkName(tenant, 'tenant');
  async function put(tenant: string, change: TenantChange, allowOrigin?: OriginToAllow): Promise<PutTenant> {
    knownFields(change, CHANGE);
    // An unknown value would make the file invalid for all processes.
    if (change.plan !== undefined && !PLANS.includes(change.plan))
      throw new SealdexError('DOCUMENT_INVALID', `plan must be one of ${PLANS.join(', ')}.`, { field: 'plan' });
    if (change.whenKeyShut !== undefined && !WHEN_KEY_SHUT.includes(change.whenKeyShut))
      throw new SealdexError('DOCUMENT_INVALID', `whenKeyShut must be one of ${WHEN_KEY_SHUT.join(', ')}.`, {
        field: 'whenKeyShut',
      });
    const { kmsKeyArn: to } = change;
    if (to === undefined) return tenants.put(tenant, change);
    const isNew = (await fileOf(tenants, named(tenant))) === undefined;
    const whenKeyShut = isNew ? chosenFor(deps.config, change.whenKeyShut) : change.whenKeyShut;
    const entry = await keyEntry(deps, PLATFORM, to, allowOrigin);
    return tenants.put(tenant, { ...change, ...(whenKeyShut && { whenKeyShut }), keyEntry: entry });
  }
  return {
    tenantNames: () => tenants.names(),
    tenantFiles: () => tenantFiles(tenants),
    tenant: (tenant) => tenants.show(tenant),
    async *corpora(tenant) {
      await tenants.show(named(tenant));
      yield* listCorpusNames(deps.store, tenant);
    },
    putTenant: async (tenant, change) => put(tenant, change),
    async makeTenant(tenant, change, options = {}) {
      knownFields(change, CHANGE);
      knownFields(options, ATTACH);
      const file = await fileOf(tenants, named(tenant));
      // An existing tenant already has the key, or gets it by `setKey`.
      if (file || change.plan === undefined || change.plan === 'free') return put(tenant, change);
      chosenFor(deps.config, change.whenKeyShut);
      return attach(deps, keyRef(tenant, change.kmsKeyArn), { ...options, plan: change.plan }, async (check) => ({
        ...(await put(tenant, change, options.allowOrigin)),
        check,
      }));
    },
    async setKey(tenant, to, options = {}) {
      knownFields(options, SET_KEY);
      const changed = await setKey(deps, named(tenant), to, options);
      // Also if the key is unchanged: the process that changed it may have died before this call.
      await reencryption.restartStalled(tenant);
      return changed;
    },
    reencrypt: async (tenant) => reencryption.begin(named(tenant)),
    reencryption: async (tenant) => reencryption.progress(named(tenant)),
    platformKeyContent: async (tenant) => deps.queue.platformContent(named(tenant)),
    async countKeys(tenant, signal) {
      await tenants.show(named(tenant));
      return countKeys(deps.store, tenant, signal);
    },
  };
}
