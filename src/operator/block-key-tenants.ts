// Block of a KMS key for all tenants that have or had it, including tenants that receive it concurrently.
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import { SealdexError } from '../runtime/errors.ts';
import { takeKeyLease, type KeyLeaseDeps } from './key-lease.ts';
import { tenantsOf, type KeyTenantsDeps } from './key-tenants.ts';
import { block, type GateChange, type StopDeps } from './stops.ts';

export type BlockOwnersDeps = StopDeps & KeyTenantsDeps & KeyLeaseDeps;

/** Result of `blockOwners` for one tenant: the change of its gate, or the error. */
export interface OwnerBlocked {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Present if the key is blocked. */
  readonly change?: GateChange;
  /** Present if the key could not be blocked. */
  readonly error?: SealdexError;
}

/** Maximum wait for another caller that is attaching the key. */
const WAIT_MS = 20_000;

/**
 * Blocks the key for all current tenants at once. If another caller is attaching it, waits for that and repeats.
 * @throws SealdexError `TENANT_CHANGED` at the end, if a tenant may have received the key concurrently
 */
export async function* blockOwners(
  deps: BlockOwnersDeps,
  keyArn: string,
  reason: string,
): AsyncGenerator<OwnerBlocked> {
  const seen = new Set<string>();
  let lease = await takeKeyLease(deps, keyArn).catch(() => undefined);
  // A walk continues without the lease: the last renewal below finds a lost one.
  const renewLease = async (): Promise<void> => void (await lease?.renew().catch(() => false));
  try {
    const isAlone = lease !== undefined;
    yield* walk(deps, keyArn, reason, seen, renewLease);
    if (!isAlone) {
      lease = await takeKeyLease(deps, keyArn, WAIT_MS);
      if (lease) yield* walk(deps, keyArn, reason, seen, renewLease);
    }
    if (await lease?.renew()) return;
  } finally {
    await lease?.free();
  }
  throw new SealdexError(
    'TENANT_CHANGED',
    `The KMS key ${keyArn} was blocked for the tenants listed, but another command changed it at the same time. Run the command again.`,
  );
}

async function* walk(
  deps: BlockOwnersDeps,
  keyArn: string,
  reason: string,
  seen: Set<string>,
  renewLease: () => Promise<void>,
): AsyncGenerator<OwnerBlocked> {
  for await (const { tenant, error, deleted } of tenantsOf(deps, keyArn, renewLease)) {
    if (deleted || seen.has(tenant)) continue;
    seen.add(tenant);
    yield error ? { tenant, error } : await blockOne(deps, keyRef(tenant, keyArn), reason);
  }
}

async function blockOne(deps: BlockOwnersDeps, key: KeyRef, reason: string): Promise<OwnerBlocked> {
  const { tenant } = key;
  try {
    return { tenant, change: await block(deps, key, reason) };
  } catch (error) {
    if (error instanceof SealdexError) return { tenant, error };
    throw error;
  }
}
