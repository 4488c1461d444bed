// Another KMS key for a tenant: checked, written down, told to all processes, and what was parked under the old one let go.
// What the file says then is src/tenants' business; moving what is stored is re-encryption's.
import { randomBytes } from 'node:crypto';
import { keyRef } from '../runtime/key-ref.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { checkClock } from '../runtime/redis.ts';
import { keyIn, lastChange } from '../tenants/key-change.ts';
import { PLATFORM, type OriginToAllow, type WhenKeyShut } from '../runtime/names.ts';
import type { KeyChangeEntry } from '../tenants/shape.ts';
import { attach } from './attach.ts';
import type { KeyCheck, KeyCheckDeps } from './key-check.ts';
import type { KeyDeps } from './keys.ts';

export interface SetKeyDeps extends KeyDeps, KeyCheckDeps {
  /** Who asks, as AWS names them. */
  readonly identity: () => Promise<string>;
}

/** Result of a change of a tenant's KMS key. */
export interface KeyChanged {
  /** Name of the tenant. */
  readonly tenant: string;
  /** ARN of the previous KMS key, or `platform`. */
  readonly from: string;
  /** ARN of the current KMS key, or `platform`. */
  readonly to: string;
  /** False if the tenant already had this key. */
  readonly changed: boolean;
  /** Result of the check of the new key; absent for the platform key. */
  readonly check?: KeyCheck;
}

/** Options of `setKey`. */
export interface SetKeyOptions {
  /** Accepts a key that another tenant has or had. */
  readonly shared?: boolean;
  /** Accepts a key of this origin, which is outside KMS. */
  readonly allowOrigin?: OriginToAllow;
  /** Effect on content that arrives while the key is unusable; by default the setting `SEALDEX_WHEN_KEY_SHUT`. */
  readonly whenKeyShut?: WhenKeyShut;
}

/** @throws SealdexError `DOCUMENT_INVALID` with field `whenKeyShut` if neither the caller nor the installation has chosen */
export function chosenFor({ whenKeyShut }: Pick<Config, 'whenKeyShut'>, given: WhenKeyShut | undefined): WhenKeyShut {
  const chosen = given ?? whenKeyShut;
  if (chosen !== undefined) return chosen;
  const choice = 'Choose what to do with content submitted while the KMS key is unusable';
  const meaning = 'park keeps it encrypted under the platform key, refuse rejects it';
  throw new SealdexError(
    'DOCUMENT_INVALID',
    `${choice}: ${meaning}. Use --when-key-shut park|refuse, or set SEALDEX_WHEN_KEY_SHUT.`,
    { field: 'whenKeyShut' },
  );
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
  { whenKeyShut, ...options }: SetKeyOptions = {},
): Promise<KeyChanged> {
  const file = await deps.tenants.show(tenant);
  const from = keyIn(file);
  if (from === to) {
    // Whoever changed it may have died before anybody heard of it.
    const entry = lastChange(file);
    if (entry) await make(deps, tenant, entry);
    return { tenant, from, to, changed: false };
  }
  if (to === PLATFORM) {
    await deps.probing.tryKey(keyRef(tenant, deps.config.platformKeyArn));
    return change(deps, tenant, await keyEntry(deps, from, to), whenKeyShut);
  }
  // A tenant that has a key of its own has chosen before.
  const chosen = from === PLATFORM ? chosenFor(deps.config, whenKeyShut) : whenKeyShut;
  return attach(deps, keyRef(tenant, to), options, async (check) => ({
    ...(await change(deps, tenant, await keyEntry(deps, from, to, options.allowOrigin), chosen)),
    check,
  }));
}

/** What the history says of a change of the key that is made now. */
export async function keyEntry(
  { identity, clock }: Pick<SetKeyDeps, 'identity' | 'clock'>,
  from: string,
  to: string,
  allowedOrigin?: OriginToAllow,
): Promise<KeyChangeEntry> {
  const operator = await identity();
  const id = randomBytes(8).toString('hex');
  return { change: 'key', id, at: clock.now(), operator, from, to, ...(allowedOrigin && { allowedOrigin }) };
}

async function change(
  deps: SetKeyDeps,
  tenant: string,
  entry: KeyChangeEntry,
  whenKeyShut: WhenKeyShut | undefined,
): Promise<KeyChanged> {
  // The move of what is stored, and its end, go by the time that is written down now.
  await checkClock(deps.redis, deps.clock);
  await make(deps, tenant, entry, whenKeyShut);
  return { tenant, from: entry.from, to: entry.to, changed: true };
}

const arnOf = ({ config }: SetKeyDeps, key: string): string => (key === PLATFORM ? config.platformKeyArn : key);

/** The file, which is not written again if the change stands there, then all that follows from it. */
async function make(deps: SetKeyDeps, tenant: string, entry: KeyChangeEntry, whenKeyShut?: WhenKeyShut): Promise<void> {
  const key = { entry, platformArns: platformArns(deps.config) };
  await deps.tenants.put(tenant, { key, ...(whenKeyShut && { whenKeyShut }) });
  // If Redis cannot be reached now, a probe reads the file and opens the gate. Each parked job finds out for itself which key
  // it needs, and parks again if that key does not work.
  await deps.gates.apply(keyRef(tenant, arnOf(deps, entry.from)), { kind: 'keyDetached' });
  await deps.gates.apply(keyRef(tenant, arnOf(deps, entry.to)), { kind: 'keyAttached' });
}
