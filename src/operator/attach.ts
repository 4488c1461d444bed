// A KMS key on its way to a tenant: checked first, and by one caller at a time. What is written then is the caller's business.
import { createHash } from 'node:crypto';
import { SealdexError } from '../errors.ts';
import { takeLease } from '../lease.ts';
import type { Redis, RedisKeys } from '../redis.ts';
import { checkKey, type KeyCheck, type KeyCheckDeps, type KeyCheckOptions } from './key-check.ts';

export interface AttachDeps extends KeyCheckDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
}

/** Longer than a check takes. */
const LEASE_MS = 60_000;

/**
 * Does the work when the key can be attached.
 * @throws SealdexError `TENANT_KEY_INVALID` when it cannot, `TENANT_CHANGED` while somebody else attaches it, those of KMS when
 * nothing could be found out; and what the work throws
 */
export async function attach<T>(
  deps: AttachDeps,
  tenant: string,
  arn: string,
  options: Pick<KeyCheckOptions, 'shared' | 'plan'>,
  work: (check: KeyCheck) => Promise<T>,
): Promise<T> {
  // Two tenants that attach one key at once would both find that nobody has it.
  const digest = createHash('sha256').update(arn).digest('hex').slice(0, 16);
  const lease = await takeLease(deps.redis, deps.keys.lease(`set-key:${digest}`), LEASE_MS);
  if (!lease)
    throw new SealdexError('TENANT_CHANGED', `The KMS key ${arn} is being attached by somebody else: look again.`);
  try {
    const check = await checkKey(deps, tenant, arn, options);
    if (!check.canAttach) throw cannot(check);
    return await work(check);
  } finally {
    await lease.free().catch(() => {});
  }
}

function cannot({ steps }: KeyCheck): SealdexError {
  const why = steps.filter(({ verdict }) => verdict === 'fail').map(({ saw, todo }) => [saw, todo].join(' '));
  return new SealdexError('TENANT_KEY_INVALID', ['The KMS key cannot be attached:', ...why].join('\n  '), {
    field: 'kmsKeyArn',
  });
}
