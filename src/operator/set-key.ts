// Another KMS key for a tenant: checked, written down, told to all processes, and what was parked under the old one let go.
// What the file says then is src/tenants' business; moving what is stored is re-encryption's.
import { randomBytes } from 'node:crypto';
import { keyRef } from '../runtime/key-ref.ts';
import { platformArns } from '../runtime/config.ts';
import { checkClock } from '../runtime/redis.ts';
import { keyIn, lastChange } from '../tenants/key-change.ts';
import { PLATFORM } from '../runtime/names.ts';
import type { KeyChangeEntry } from '../tenants/shape.ts';
import { attach } from './attach.ts';
import type { KeyCheck, KeyCheckDeps } from './key-check.ts';
import type { KeyDeps } from './keys.ts';

export interface SetKeyDeps extends KeyDeps, KeyCheckDeps {
  /** Who asks, as AWS names them. */
  readonly identity: () => Promise<string>;
}

export interface KeyChanged {
  readonly tenant: string;
  /** The KMS keys' ARNs, or `platform`. */
  readonly from: string;
  readonly to: string;
  /** False: it was this key already. */
  readonly changed: boolean;
  /** What the check of the new key found; none of the platform key. */
  readonly check?: KeyCheck;
}

/**
 * @param to the ARN, or `platform`
 * @throws SealdexError `TENANT_KEY_INVALID` when the key cannot be attached, `TENANT_CHANGED` when somebody else changed it
 * meanwhile, those of KMS when the key could not be checked, and what reading and writing the file throws
 */
export async function setKey(
  deps: SetKeyDeps,
  tenant: string,
  to: string,
  options: { readonly shared?: boolean } = {},
): Promise<KeyChanged> {
  const file = await deps.tenants.show(tenant);
  const from = keyIn(file);
  if (from === to) {
    // Whoever changed it may have died before anybody heard of it.
    const entry = lastChange(file);
    if (entry) await make(deps, tenant, entry);
    return { tenant, from, to, changed: false };
  }
  if (to !== PLATFORM)
    return attach(deps, keyRef(tenant, to), options, async (check) => ({
      ...(await change(deps, tenant, from, to)),
      check,
    }));
  await deps.probing.tryKey(keyRef(tenant, deps.config.platformKeyArn));
  return change(deps, tenant, from, to);
}

/** What the history says of a change of the key that is made now. */
export async function keyEntry(
  { identity, clock }: Pick<SetKeyDeps, 'identity' | 'clock'>,
  from: string,
  to: string,
): Promise<KeyChangeEntry> {
  const operator = await identity();
  return { change: 'key', id: randomBytes(8).toString('hex'), at: clock.now(), operator, from, to };
}

async function change(deps: SetKeyDeps, tenant: string, from: string, to: string): Promise<KeyChanged> {
  // The move of what is stored, and its end, go by the time that is written down now.
  await checkClock(deps.redis, deps.clock);
  await make(deps, tenant, await keyEntry(deps, from, to));
  return { tenant, from, to, changed: true };
}

const arnOf = ({ config }: SetKeyDeps, key: string): string => (key === PLATFORM ? config.platformKeyArn : key);

/** The file, which is not written again if the change stands there, then all that follows from it. */
async function make(deps: SetKeyDeps, tenant: string, entry: KeyChangeEntry): Promise<void> {
  await deps.tenants.put(tenant, { key: { entry, platformArns: platformArns(deps.config) } });
  // If Redis cannot be reached now, a probe reads the file and opens the gate. Each parked job finds out for itself which key
  // it needs, and parks again if that key does not work.
  await deps.gates.apply(keyRef(tenant, arnOf(deps, entry.from)), { kind: 'keyDetached' });
  await deps.gates.apply(keyRef(tenant, arnOf(deps, entry.to)), { kind: 'keyAttached' });
}
