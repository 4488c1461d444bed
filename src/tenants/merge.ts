// Content of a tenant's file after a change. file.ts reads and writes files.
import { SealdexError } from '../runtime/errors.ts';
import type { Plan } from '../runtime/names.ts';
import { isKeyArn } from '../runtime/key-arn.ts';
import { hasChanged, withKey, type KeyChange } from './key-change.ts';
import type { StopText } from './operator-stop.ts';
import type { KeyChangeEntry, TenantDeletion, TenantFile } from './shape.ts';

/** Attributes of a tenant to set; an attribute that is absent keeps its value. */
export interface TenantChange {
  /** Required for a new tenant. */
  readonly plan?: Plan;
  /** ARN of the tenant's own KMS key; only for a new tenant. */
  readonly kmsKeyArn?: string;
  /** Effect on content that arrives while the KMS key is unusable: it waits under the platform key, or is rejected. */
  readonly whenKeyShut?: TenantFile['whenKeyShut'];
  /** Whether uploaded files are kept, encrypted, beside the text extracted from them. */
  readonly keepOriginals?: boolean;
}

/** Every change of a tenant's file. A type of its own: declarations of the package cannot name fields that tsc strips. */
export interface TenantFileChange extends TenantChange {
  /** Entry of the key in the history: its author and time. */
  readonly keyEntry?: KeyChangeEntry;
  /** New KMS key for an existing tenant. */
  readonly key?: KeyChange;
  /** Pauses the tenant; null resumes it. */
  readonly paused?: StopText | null;
  /** Blocks a KMS key of the tenant; null unblocks it. */
  readonly blocked?: { readonly arn: string; readonly stop: StopText | null };
  /** Deletes the tenant permanently. */
  readonly deleted?: TenantDeletion;
}

/** Old jobs, messages and backups contain the name of the former tenant: a new tenant would get access to them. */
const isGone = ({ at }: TenantDeletion, tenant: string): SealdexError =>
  new SealdexError(
    'TENANT_UNKNOWN',
    `Tenant ${tenant} was deleted at ${new Date(at).toISOString()}; its name cannot be reused. To delete remaining data: sealdex tenants delete ${tenant}`,
  );

/** Returns the file after the change. All other fields are kept, including unknown ones. */
export function merge(tenant: string, file: TenantFile | undefined, change: TenantFileChange): TenantFile {
  if (change.deleted) return asDeleted(tenant, file, change.deleted);
  if (file?.deleted) throw isGone(file.deleted, tenant);
  checkKey(tenant, file, change.kmsKeyArn);
  const before = file ?? made(tenant, change);
  const plan = change.plan ?? before.plan;
  if (file && plan === 'free' && file.kmsKeyArn !== undefined) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      `The free plan does not include a KMS key. Remove the key of tenant ${tenant} first: sealdex tenants set-key ${tenant} --to-platform-key`,
      { field: 'plan' },
    );
  }
  const after: TenantFile = {
    ...before,
    plan,
    whenKeyShut: change.whenKeyShut ?? before.whenKeyShut,
    keepOriginals: change.keepOriginals ?? before.keepOriginals,
    blockedKeys: blockedAfter(before.blockedKeys, change.blocked),
  };
  if (change.paused) after.paused = { ...change.paused };
  if (change.paused === null) delete after.paused;
  return change.key ? withKey(after, change.key) : after;
}

/** Returns true if the file already contains the change: the response to a write was lost, or a deletion is repeated. */
export const isAlreadyApplied = (file: TenantFile, { key, deleted }: TenantFileChange): boolean =>
  (deleted !== undefined && file.deleted !== undefined) || (key !== undefined && hasChanged(file, key));

/** All other fields are kept: the KMS keys must not serve another tenant unnoticed. */
function asDeleted(tenant: string, file: TenantFile | undefined, deleted: TenantDeletion): TenantFile {
  if (!file) throw new SealdexError('TENANT_UNKNOWN', `Tenant ${tenant} does not exist.`);
  return { ...file, deleted };
}

function blockedAfter(
  before: TenantFile['blockedKeys'],
  change: TenantFileChange['blocked'],
): TenantFile['blockedKeys'] {
  if (!change) return before;
  const others = before.filter(({ arn }) => arn !== change.arn);
  return change.stop ? [...others, { arn: change.arn, ...change.stop }] : others;
}

function checkKey(tenant: string, file: TenantFile | undefined, kmsKeyArn: string | undefined): void {
  if (kmsKeyArn === undefined) return;
  if (!isKeyArn(kmsKeyArn)) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      'The key must be the full ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID).',
      { field: 'kmsKeyArn' },
    );
  }
  if (!file || kmsKeyArn === file.kmsKeyArn) return;
  throw new SealdexError(
    'TENANT_KEY_INVALID',
    `Tenant ${tenant} already exists with ${file.kmsKeyArn === undefined ? 'the platform key' : 'another KMS key'}. To change it: sealdex tenants set-key ${tenant} ${kmsKeyArn}`,
    { field: 'kmsKeyArn' },
  );
}

function made(tenant: string, { plan, kmsKeyArn, keyEntry }: TenantFileChange): TenantFile {
  if (plan === undefined)
    throw new SealdexError(
      'TENANT_UNKNOWN',
      `Tenant ${tenant} does not exist. Create it: sealdex tenants put ${tenant} --plan pro${kmsKeyArn === undefined ? '' : ` --when-key-shut park --key ${kmsKeyArn}`}`,
    );
  checkPlan(plan, kmsKeyArn);
  return {
    v: 1,
    tenant,
    plan,
    ...(kmsKeyArn === undefined ? {} : { kmsKeyArn }),
    formerKeyArns: [],
    whenKeyShut: 'park',
    keepOriginals: false,
    blockedKeys: [],
    history: keyEntry === undefined ? [] : [keyEntry],
  };
}

export function checkPlan(plan: Plan, kmsKeyArn: string | undefined): void {
  if (plan === 'free' && kmsKeyArn !== undefined) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      'The free plan does not include a KMS key. Choose the plan pro or enterprise, or omit the key.',
      { field: 'plan' },
    );
  }
}
