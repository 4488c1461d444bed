// Attaching a KMS key to a tenant: checks the key under a lease, then runs the given change.
import type { KeyRef } from '../runtime/key-ref.ts';
import { SealdexError } from '../runtime/errors.ts';
import { checkKey, type KeyCheck, type KeyCheckDeps, type KeyCheckOptions } from './key-check.ts';
import { takeKeyLease, type KeyLeaseDeps } from './key-lease.ts';

export type AttachDeps = KeyCheckDeps & KeyLeaseDeps;

/**
 * Runs `work` if the key can be attached.
 * @throws SealdexError `TENANT_KEY_INVALID` if it cannot; `TENANT_CHANGED` while another caller attaches or blocks it;
 * those of KMS if the check failed; the error of `work`
 */
export async function attach<T>(
  deps: AttachDeps,
  key: KeyRef,
  options: Pick<KeyCheckOptions, 'shared' | 'plan' | 'allowOrigin'>,
  work: (check: KeyCheck) => Promise<T>,
): Promise<T> {
  const lease = await takeKeyLease(deps, key.keyArn);
  if (!lease)
    throw new SealdexError(
      'TENANT_CHANGED',
      `Another command is attaching or blocking the KMS key ${key.keyArn}. Try again.`,
    );
  const renewLease = async (): Promise<void> => {
    if (await lease.renew()) return;
    throw new SealdexError(
      'TENANT_CHANGED',
      `The check of the KMS key ${key.keyArn} took too long and its lock expired. Try again.`,
    );
  };
  try {
    const check = await checkKey(deps, key, { ...options, renewLease });
    if (!check.canAttach) throw cannot(check);
    await renewLease();
    return await work(check);
  } finally {
    await lease.free();
  }
}

function cannot({ steps }: KeyCheck): SealdexError {
  const why = steps
    .filter(({ status }) => status === 'fail')
    .map(({ observed, remedy }) => [observed, remedy].join(' '));
  return new SealdexError('TENANT_KEY_INVALID', ['The KMS key cannot be attached:', ...why].join('\n  '), {
    field: 'kmsKeyArn',
  });
}
