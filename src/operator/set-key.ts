// Change of a tenant's KMS key: checks the new key, writes the tenant file, and drains the gates of the old and the new key.
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
  /** The caller's AWS identity. */
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
 * @throws SealdexError `TENANT_KEY_INVALID` if the key cannot be attached; `TENANT_CHANGED` if it was changed concurrently;
 * those of KMS if the key could not be checked; those of reading and writing the file
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
    // The process that changed it may have died before it changed the gates.
    const entry = lastChange(file);
    if (entry) await make(deps, tenant, entry);
    return { tenant, from, to, changed: false };
  }
  if (to === PLATFORM) {
    await deps.probing.tryKey(keyRef(tenant, deps.config.platformKeyArn));
    return change(deps, tenant, await keyEntry(deps, from, to), whenKeyShut);
  }
  // A tenant with a key of its own already has a value.
  const chosen = from === PLATFORM ? chosenFor(deps.config, whenKeyShut) : whenKeyShut;
  return attach(deps, keyRef(tenant, to), options, async (check) => ({
    ...(await change(deps, tenant, await keyEntry(deps, from, to, options.allowOrigin), chosen)),
    check,
  }));
}

/** Makes the history entry of a key change at this time. */
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
  // The start and the end of the re-encryption depend on the time that is written now.
  await checkClock(deps.redis, deps.clock);
  await make(deps, tenant, entry, whenKeyShut);
  return { tenant, from: entry.from, to: entry.to, changed: true };
}

const arnOf = ({ config }: SetKeyDeps, key: string): string => (key === PLATFORM ? config.platformKeyArn : key);

/** Writes the file, unless it already has the change, then changes the gates. */
async function make(deps: SetKeyDeps, tenant: string, entry: KeyChangeEntry, whenKeyShut?: WhenKeyShut): Promise<void> {
  const key = { entry, platformArns: platformArns(deps.config) };
  await deps.tenants.put(tenant, { key, ...(whenKeyShut && { whenKeyShut }) });
  // If Redis is unreachable now, a probe reads the file later and opens the gate. A released job that still needs an unusable
  // key is parked again.
  await deps.gates.apply(keyRef(tenant, arnOf(deps, entry.from)), { kind: 'keyDetached' });
  await deps.gates.apply(keyRef(tenant, arnOf(deps, entry.to)), { kind: 'keyAttached' });
}
