// A KMS key is blocked for all tenants that have or had it, those that get it at that moment included.
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

/** So long it waits for somebody who attaches the key at this moment. */
const WAIT_MS = 20_000;

/**
 * Blocks what is known at once, and looks again once nobody attaches the key any more.
 * @throws SealdexError `TENANT_CHANGED` after all that was blocked, when a tenant may have got the key meanwhile
 */
export async function* blockOwners(
  deps: BlockOwnersDeps,
  keyArn: string,
  reason: string,
): AsyncGenerator<OwnerBlocked> {
  const met = new Set<string>();
  let lease = await takeKeyLease(deps, keyArn).catch(() => undefined);
  // A walk goes on without it: who lost it finds that at the end.
  const renewLease = async (): Promise<void> => void (await lease?.renew().catch(() => false));
  try {
    const isAlone = lease !== undefined;
    yield* walk(deps, keyArn, reason, met, renewLease);
    if (!isAlone) {
      lease = await takeKeyLease(deps, keyArn, WAIT_MS);
      if (lease) yield* walk(deps, keyArn, reason, met, renewLease);
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
  met: Set<string>,
  renewLease: () => Promise<void>,
): AsyncGenerator<OwnerBlocked> {
  for await (const { tenant, error, deleted } of tenantsOf(deps, keyArn, renewLease)) {
    if (deleted || met.has(tenant)) continue;
    met.add(tenant);
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
