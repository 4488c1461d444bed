// Change of the KMS key in a tenant's file: its new content, and the checks. Former keys are kept, since documents and content
// are encrypted under them. Does not test the new key.
import { SealdexError } from '../runtime/errors.ts';
import { PLATFORM } from '../runtime/names.ts';
import type { KeyChangeEntry, TenantFile } from './shape.ts';

/** A requested change. Its old value is compared with the file when it is written. */
export interface KeyChange {
  readonly entry: KeyChangeEntry;
  /** The KMS keys of tenants without one of their own: they become former keys of a tenant that gets its own. */
  readonly platformArns: ReadonlySet<string>;
}

/** Number of newest entries to keep. */
const HISTORY_KEPT = 1000;

export const keyIn = ({ kmsKeyArn }: TenantFile): string => kmsKeyArn ?? PLATFORM;

export const hasChanged = ({ history }: TenantFile, { entry }: KeyChange): boolean =>
  history.some((one) => (one as Partial<KeyChangeEntry> | null)?.id === entry.id);

/** The change that set the current key. */
export function lastChange(file: TenantFile): KeyChangeEntry | undefined {
  const isChange = (one: unknown): one is KeyChangeEntry => (one as Partial<KeyChangeEntry> | null)?.change === 'key';
  const last = file.history.findLast(isChange);
  return last?.to === keyIn(file) ? last : undefined;
}

/** @throws SealdexError `TENANT_CHANGED` if the key was changed concurrently, `TENANT_KEY_INVALID` */
export function withKey(file: TenantFile, { entry, platformArns }: KeyChange): TenantFile {
  const { kmsKeyArn, ...rest } = file;
  const { tenant, plan } = file;
  if (keyIn(file) !== entry.from)
    throw new SealdexError(
      'TENANT_CHANGED',
      `The KMS key of tenant ${tenant} was changed concurrently and is now ${kmsKeyArn ?? 'the platform key'}. Review it: sealdex tenants show ${tenant}`,
    );
  const isOwn = entry.to !== PLATFORM;
  if (isOwn && plan === 'free')
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      `Tenant ${tenant} is on the free plan, which does not include a KMS key. Change the plan: sealdex tenants put ${tenant} --plan pro`,
      { field: 'plan' },
    );
  if (file.blockedKeys.some(({ arn }) => arn === entry.to))
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      `The KMS key ${entry.to} is blocked for tenant ${tenant}. To unblock: sealdex keys unblock ${entry.to} --tenant ${tenant}`,
      { field: 'kmsKeyArn' },
    );
  const served = kmsKeyArn === undefined ? [...platformArns] : [kmsKeyArn];
  const former = new Set([...file.formerKeyArns, ...served]);
  former.delete(entry.to);
  return {
    ...rest,
    ...(isOwn ? { kmsKeyArn: entry.to } : {}),
    formerKeyArns: [...former],
    reencryption: { id: entry.id, since: entry.at },
    history: [...file.history, entry].slice(-HISTORY_KEPT),
  };
}
