// Tenants: what a tenant's file says (plan, KMS key, choices), cached, and how it is changed without losing a change.
// Which key serves a tenant is decided here; using keys is the key ring's business.
import { z } from 'zod';
import { orAbort, type Clock } from './clock.ts';
import type { Config } from './config.ts';
import { SealdexError } from './errors.ts';
import { ask, redisKeys, type Redis } from './redis.ts';
import { isRefusal } from './store/faults.ts';
import { isKeyArn } from './settings.ts';
import type { Store } from './store/s3.ts';
import { listTenantNames, readTenantFile, writeTenantFile } from './store/tenants.ts';

export const PLANS = ['free', 'pro', 'enterprise'] as const;
export type Plan = (typeof PLANS)[number];

const keyArn = z.string().refine(isKeyArn);

/** The file (contract, design section 8). Fields that a newer version put there are kept. */
const tenantFile = z.looseObject({
  v: z.literal(1),
  tenant: z.string(),
  plan: z.enum(PLANS),
  kmsKeyArn: keyArn.optional(),
  formerKeyArns: z.array(keyArn),
  whenKeyShut: z.enum(['park', 'refuse']),
  keepOriginals: z.boolean(),
  blockedKeys: z.array(z.unknown()),
  history: z.array(z.unknown()),
});

export type TenantFile = z.infer<typeof tenantFile>;

export interface Tenant {
  readonly tenant: string;
  readonly plan: Plan;
  /** The KMS key that new data keys are made under: the tenant's own, or the platform key. */
  readonly keyArn: string;
  readonly hasOwnKey: boolean;
  /** Every KMS key that the tenant's documents may be under; a message under any other is refused. */
  readonly readableArns: ReadonlySet<string>;
}

export interface TenantChange {
  readonly plan: Plan;
  /** The tenant's own KMS key; only when the tenant is made. */
  readonly kmsKeyArn?: string;
}

export interface Tenants {
  /** @throws SealdexError `TENANT_UNKNOWN`, `TENANT_KEY_INVALID`, `PLATFORM_TENANTS`, `STORE_FAILED` */
  get(tenant: string, signal?: AbortSignal): Promise<Tenant>;
  /** The file as it stands in S3, past the cache. */
  show(tenant: string): Promise<TenantFile>;
  /** Makes the tenant, or changes its plan. @throws SealdexError `TENANT_KEY_INVALID`, `TENANT_CHANGED` */
  put(tenant: string, change: TenantChange): Promise<{ made: boolean; file: TenantFile }>;
  names(): AsyncGenerator<string>;
  close(): void;
}

const CACHE_MS = 300_000;
const CACHE_ENTRIES = 10_000;
const MERGE_ROUNDS = 5;

interface Cached {
  readonly until: number;
  readonly tenant: Tenant;
}

export interface TenantsDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly store: Store;
  readonly redis: Redis;
  /** A connection of its own to hear of changes; without it every look is a read (the command line). */
  readonly subscriber?: Redis;
}

export async function createTenants({ config, clock, store, redis, subscriber }: TenantsDeps): Promise<Tenants> {
  const channel = redisKeys(config.queue).tenantChanged;
  const cache = new Map<string, Cached>();
  const flights = new Map<string, Promise<Tenant>>();
  let changes = 0;

  const forget = (tenant?: string): void => {
    changes += 1;
    if (tenant === undefined) cache.clear();
    else cache.delete(tenant);
    if (tenant === undefined) flights.clear();
    else flights.delete(tenant);
  };

  if (subscriber) {
    subscriber.on('message', (_channel, tenant) => forget(tenant));
    // What was published while the connection was away is not delivered later.
    subscriber.on('close', () => forget());
    subscriber.on('ready', () => forget());
    await ask(subscriber.subscribe(channel));
  }

  async function load(tenant: string): Promise<Tenant> {
    const before = changes;
    const loaded = await read(store, tenant);
    if (!loaded) throw new SealdexError('TENANT_UNKNOWN');
    const made = tenantOf(loaded.file, config);
    if (subscriber && changes === before) {
      if (cache.size >= CACHE_ENTRIES) cache.delete(cache.keys().next().value!);
      cache.set(tenant, { until: clock.monotonic() + CACHE_MS, tenant: made });
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

    async show(tenant) {
      const loaded = await read(store, tenant);
      if (!loaded)
        throw new SealdexError(
          'TENANT_UNKNOWN',
          `There is no tenant ${tenant}: sealdex tenants put ${tenant} --plan pro makes one.`,
        );
      return loaded.file;
    },

    async put(tenant, change) {
      for (let round = 0; round < MERGE_ROUNDS; round++) {
        const loaded = await read(store, tenant);
        const file = merge(tenant, loaded?.file, change);
        const answer = await writeTenantFile(
          store,
          tenant,
          Buffer.from(`${JSON.stringify(file, null, 2)}\n`),
          loaded?.etag,
        );
        if (answer.kind !== 'written') continue;
        await ask(redis.publish(channel, tenant));
        return { made: loaded === undefined, file };
      }
      throw new SealdexError('TENANT_CHANGED');
    },

    names: () => listTenantNames(store),
    close: () => forget(),
  };
}

async function read(store: Store, tenant: string): Promise<{ file: TenantFile; etag: string } | undefined> {
  try {
    const found = await readTenantFile(store, tenant);
    if (!found) return undefined;
    const file = tenantFile.safeParse(parseJson(found.bytes));
    if (!file.success || file.data.tenant !== tenant)
      throw new SealdexError('PLATFORM_TENANTS', undefined, { reason: 'Malformed' });
    return { file: file.data, etag: found.etag };
  } catch (error) {
    if (isRefusal(error))
      throw new SealdexError('PLATFORM_TENANTS', undefined, { reason: error.reason ?? 'Refused', cause: error });
    throw error;
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function tenantOf(file: TenantFile, config: Config): Tenant {
  checkPlan(file.plan, file.kmsKeyArn);
  const current =
    file.kmsKeyArn === undefined ? [config.platformKeyArn, ...config.platformFormerKeyArns] : [file.kmsKeyArn];
  return Object.freeze({
    tenant: file.tenant,
    plan: file.plan,
    keyArn: file.kmsKeyArn ?? config.platformKeyArn,
    hasOwnKey: file.kmsKeyArn !== undefined,
    readableArns: new Set([...current, ...file.formerKeyArns]),
  });
}

function checkPlan(plan: Plan, kmsKeyArn: string | undefined): void {
  if (plan === 'free' && kmsKeyArn !== undefined) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      'Plan free has no KMS key of its own: choose plan pro or enterprise, or leave the key out.',
      { field: 'plan' },
    );
  }
}

/** The file after the change; what the change does not name stays, fields that we do not know included. */
function merge(tenant: string, file: TenantFile | undefined, { plan, kmsKeyArn }: TenantChange): TenantFile {
  if (kmsKeyArn !== undefined && !isKeyArn(kmsKeyArn)) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      'The key must be the full ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID).',
      { field: 'kmsKeyArn' },
    );
  }
  if (file && kmsKeyArn !== undefined && kmsKeyArn !== file.kmsKeyArn) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      `Tenant ${tenant} exists and has ${file.kmsKeyArn === undefined ? 'the platform key' : 'another KMS key'}: changing the key of a tenant moves its documents and will be a command of its own (sealdex tenants set-key).`,
      { field: 'kmsKeyArn' },
    );
  }
  checkPlan(plan, kmsKeyArn ?? file?.kmsKeyArn);
  if (file) return { ...file, plan };
  return {
    v: 1,
    tenant,
    plan,
    ...(kmsKeyArn === undefined ? {} : { kmsKeyArn }),
    formerKeyArns: [],
    whenKeyShut: 'park',
    keepOriginals: false,
    blockedKeys: [],
    history: [],
  };
}
