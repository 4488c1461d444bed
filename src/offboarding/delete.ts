// Tenant deletion: marks the tenant, shuts its gates, and removes its data. After the time in which processes may have cached
// the tenant, it repeats until a pass finds nothing. An interrupted deletion is continued by the next call.
import { keyRef } from '../runtime/key-ref.ts';
import { sleep, type Clock } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { checkName } from '../runtime/names.ts';
import type { Gates } from '../parking/gate.ts';
import { checkClock } from '../runtime/redis.ts';
import type { Store } from '../store/store.ts';
import { SETTLED_MS, type TenantFile, type Tenants } from '../tenants/tenants.ts';
import {
  KINDS,
  emptyCounts,
  totalOf,
  NOT_IMPLEMENTED,
  type Counts,
  type ObjectCounts,
  type UnlistableKind,
} from './object-counts.ts';
import { removeFromRedis, type RemovalDeps } from './keyspace.ts';
import { removeObjects, type PassOptions } from './objects.ts';

export interface DeleteDeps extends RemovalDeps {
  readonly config: Pick<Config, 'queue' | 'platformKeyArn' | 'platformFormerKeyArns' | 'probeMinMs' | 'probeMaxMs'>;
  readonly store: Store;
  readonly tenants: Tenants;
  readonly gates: Gates;
  readonly clock: Clock;
}

/** Passes after the wait. The second finds nothing unless jobs were running. */
const ROUNDS = 10;
const ROUND_MS = 2000;

/**
 * Progress of a deletion. `marked`: the tenant's file says since `at` (Unix time in milliseconds) that it is deleted. `shut`: its gates
 * are shut. `swept`: a first pass has deleted its data. `waiting`: until `until` (Unix time in milliseconds), when no process uses
 * the tenant any more. `waited`: the wait has ended. `pass`: a further pass has found this many jobs and objects.
 */
export type DeletionStep =
  | { readonly step: 'marked'; readonly at: number }
  | { readonly step: 'shut' | 'swept' | 'waited' }
  | { readonly step: 'waiting'; readonly until: number }
  | { readonly step: 'pass'; readonly found: number };

/** Options of `deleteTenant`. */
export interface DeleteOptions {
  /** ARN of the AWS identity that the tenant's file names; by default that of the caller. */
  readonly operator?: string;
  /** Interrupts the deletion, which then rejects with the signal's reason. Another call continues it. */
  readonly signal?: AbortSignal | undefined;
  /** Called at each step. */
  readonly onStep?: (step: DeletionStep) => void;
  /** Called with the counts of all data deleted so far. */
  readonly onProgress?: (removed: Counts) => void;
}

/** Result of `deleteTenant` and `countTenant`. */
export interface DeletionResult {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Data that was deleted, or that would be. */
  readonly removed: Counts;
  /** Amount of data found by the last pass; 0 unless data kept arriving or could not be deleted. */
  readonly left: number;
  /** The same by kind. `busy`: jobs that a worker is running. */
  readonly leftByKind: Counts & { readonly busy: number };
  /** Kinds of data that S3 did not list, with its error name. */
  readonly unseen: Readonly<Partial<Record<UnlistableKind, string>>>;
  /** Kinds of data that may remain. `left` is conclusive only if this is empty. */
  readonly mayRemain: readonly UnlistableKind[];
}

const leftOf = (tenant: string, removed: Counts, found: ObjectCounts): DeletionResult => ({
  tenant,
  removed: { ...removed },
  left: totalOf(found),
  leftByKind: { ...found.counts, busy: found.busy },
  unseen: Object.fromEntries(found.unseen),
  mayRemain: [...found.unseen].filter(([, reason]) => reason !== NOT_IMPLEMENTED).map(([what]) => what),
});

/** Counts the data of a tenant; changes nothing. @throws SealdexError `TENANT_UNKNOWN`, `REDIS_FAILED`, `STORE_FAILED` */
export async function countTenant(deps: DeleteDeps, tenant: string, signal?: AbortSignal): Promise<DeletionResult> {
  await deps.tenants.show(checkName(tenant, 'tenant'));
  const found = await pass(deps, tenant, { isDry: true, keepsGates: false, signal });
  return leftOf(tenant, emptyCounts().counts, found);
}

/** @throws SealdexError `TENANT_UNKNOWN`, `CLOCK_SKEW`, `REDIS_FAILED`, `STORE_FAILED`: call it again */
export async function deleteTenant(
  deps: DeleteDeps,
  tenant: string,
  options: DeleteOptions = {},
): Promise<DeletionResult> {
  const { clock, tenants } = deps;
  const { signal, onStep = () => {} } = options;
  // If another process continues the deletion, it compares the mark with its own clock.
  await checkClock(deps.redis, deps.clock);
  const by = options.operator === undefined ? {} : { operator: options.operator };
  const { file } = await tenants.put(checkName(tenant, 'tenant'), { deleted: { at: clock.now(), ...by } });
  const at = file.deleted?.at ?? clock.now();
  onStep({ step: 'marked', at });
  const total = emptyCounts();
  const through = async (keepsGates: boolean): Promise<ObjectCounts> => {
    const onProgress = ({ counts }: ObjectCounts): void => options.onProgress?.(added(total.counts, counts));
    const found = await pass(deps, tenant, { isDry: false, keepsGates, signal, onProgress });
    Object.assign(total.counts, added(total.counts, found.counts));
    return found;
  };
  const waitMs = Math.min(at + SETTLED_MS - clock.now(), SETTLED_MS);
  if (waitMs > 0) {
    await shutKeys(deps, file);
    onStep({ step: 'shut' });
    await through(true);
    onStep({ step: 'swept' });
    onStep({ step: 'waiting', until: clock.now() + waitMs });
    await sleep(clock, waitMs, signal);
    onStep({ step: 'waited' });
  }
  for (let round = 0; ; round++) {
    if (round > 0) await sleep(clock, ROUND_MS, signal);
    const found = await through(false);
    onStep({ step: 'pass', found: totalOf(found) });
    if (totalOf(found) === 0) return leftOf(tenant, total.counts, found);
    if (round + 1 < ROUNDS) continue;
    return leftOf(tenant, total.counts, await pass(deps, tenant, { isDry: true, keepsGates: false, signal }));
  }
}

async function pass(
  deps: DeleteDeps,
  tenant: string,
  options: PassOptions & { readonly keepsGates: boolean },
): Promise<ObjectCounts> {
  const found = emptyCounts();
  // Jobs first, because they name intake content.
  await removeFromRedis(deps, tenant, found, options);
  await removeObjects(deps.store, deps.config.queue, tenant, found, options);
  return found;
}

/** Shuts the gates of all its KMS keys: every process zeroes its data keys, and one that has the tenant cached starts no job. */
async function shutKeys({ gates, clock, config }: DeleteDeps, file: TenantFile): Promise<void> {
  const { tenant, kmsKeyArn, formerKeyArns } = file;
  const current = kmsKeyArn ?? config.platformKeyArn;
  const at = file.deleted?.at ?? clock.now();
  // Content that arrived while the tenant's own key was shut is under a platform key.
  for (const keyArn of new Set([current, ...formerKeyArns, ...platformArns(config)])) {
    const isCurrent = keyArn === current;
    await gates.apply(keyRef(tenant, keyArn), { kind: 'tenantDeleted', at, settledMs: SETTLED_MS, isCurrent });
  }
}

function added(one: Counts, other: Counts): Counts {
  const sum = { ...one };
  for (const kind of KINDS) sum[kind] += other[kind];
  return sum;
}
