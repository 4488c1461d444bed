// Another KMS key for a tenant: checked, written down, told to all processes, and what was parked under the old one let go.
// What the file says then is src/tenants' business; moving what is stored is re-encryption's.
import { createHash, randomBytes } from 'node:crypto';
import { platformArns } from '../config.ts';
import { SealdexError } from '../errors.ts';
import { takeLease } from '../lease.ts';
import type { GateRecord } from '../parking/gate.ts';
import { isByOperator, released } from '../parking/word.ts';
import { keyIn } from '../tenants/key-change.ts';
import { PLATFORM } from '../names.ts';
import type { KeyChangeEntry, TenantFile } from '../tenants/shape.ts';
import { checkKey, type KeyCheck, type KeyCheckDeps } from './key-check.ts';
import type { KeyDeps } from './keys.ts';
import { changeGate } from './words.ts';

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

/** Longer than a check takes. */
const LEASE_MS = 60_000;

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
  const { redis, keys, tenants } = deps;
  const file = await tenants.show(tenant);
  const from = keyIn(file);
  if (from === to) return { tenant, from, to, changed: false };
  // Two tenants that attach one key at once would both find that nobody has it.
  const digest = createHash('sha256').update(to).digest('hex').slice(0, 16);
  const lease = to === PLATFORM ? undefined : await takeLease(redis, keys.lease(`set-key:${digest}`), LEASE_MS);
  if (to !== PLATFORM && !lease)
    throw new SealdexError('TENANT_CHANGED', `The KMS key ${to} is being attached by somebody else: look again.`);
  try {
    const check = await checked(deps, file, to, options);
    const operator = await deps.identity();
    const id = randomBytes(8).toString('hex');
    const entry: KeyChangeEntry = { change: 'key', id, at: deps.clock.now(), operator, from, to };
    await tenants.put(tenant, { key: { entry, platformArns: platformArns(deps.config) } });
    // If Redis cannot be reached now, a probe finds the file and lets the jobs go.
    await letGo(deps, tenant, arnOf(deps, from), () => true);
    await letGo(deps, tenant, arnOf(deps, to), ({ code }) => !isByOperator(code));
    return { tenant, from, to, changed: true, ...(check ? { check } : {}) };
  } finally {
    await lease?.free().catch(() => {});
  }
}

async function checked(
  deps: SetKeyDeps,
  { tenant }: TenantFile,
  to: string,
  options: { readonly shared?: boolean },
): Promise<KeyCheck | undefined> {
  if (to === PLATFORM) {
    await deps.probing.tryKey(tenant, deps.config.platformKeyArn);
    return undefined;
  }
  const check = await checkKey(deps, tenant, to, options);
  if (check.canAttach) return check;
  const why = check.steps.filter(({ verdict }) => verdict === 'fail').map(({ saw, todo }) => [saw, todo].join(' '));
  throw new SealdexError('TENANT_KEY_INVALID', ['The KMS key cannot be attached:', ...why].join('\n  '), {
    field: 'kmsKeyArn',
  });
}

const arnOf = ({ config }: SetKeyDeps, key: string): string => (key === PLATFORM ? config.platformKeyArn : key);

/** The parked jobs: each says for itself what it needs, and what is still under a key that does not work parks again. */
async function letGo(
  { gates }: SetKeyDeps,
  tenant: string,
  keyArn: string,
  may: (record: GateRecord) => boolean,
): Promise<void> {
  await changeGate(gates, tenant, keyArn, ({ record }) =>
    record && (record.state === 'shut' || record.state === 'destroyed') && may(record) ? released(record) : undefined,
  );
}
