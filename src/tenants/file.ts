// A tenant's file: what it says, how it is read, and how it is changed without losing anybody's change.
// Caching, and telling others of a change, is src/tenants.ts' business.
import { z } from 'zod';
import { SealdexError } from '../errors.ts';
import { PLANS, WHEN_KEY_SHUT, type Plan } from '../names.ts';
import { isKeyArn } from '../settings.ts';
import { isRefusal } from '../store/faults.ts';
import type { Store } from '../store/s3.ts';
import { readTenantFile, TENANT_FILE_BYTES, writeTenantFile } from '../store/tenants.ts';

const keyArn = z.string().refine(isKeyArn);

/** The operator's word, and since when (wall clock, milliseconds). */
const word = z.looseObject({ reason: z.string(), since: z.number() });

/** The file (contract, design section 8). Fields that a newer version put there are kept. */
const tenantFile = z.looseObject({
  v: z.literal(1),
  tenant: z.string(),
  plan: z.enum(PLANS),
  kmsKeyArn: keyArn.optional(),
  formerKeyArns: z.array(keyArn),
  whenKeyShut: z.enum(WHEN_KEY_SHUT),
  keepOriginals: z.boolean(),
  paused: word.optional(),
  blockedKeys: z.array(word.extend({ arn: keyArn })),
  history: z.array(z.unknown()),
});

export type TenantFile = z.infer<typeof tenantFile>;

export interface TenantChange {
  /** Must be given when the tenant is made. */
  readonly plan?: Plan;
  /** The tenant's own KMS key; only when the tenant is made. */
  readonly kmsKeyArn?: string;
  /** What becomes of content that arrives while the KMS key is unusable. */
  readonly whenKeyShut?: TenantFile['whenKeyShut'];
  /** Whether uploaded files are kept, encrypted, beside what was read from them. */
  readonly keepOriginals?: boolean;
  /** The operator's word that the tenant's jobs stop; null ends it. */
  readonly paused?: OperatorWord | null;
  /** A KMS key of the tenant that nobody may use, with the reason; null ends it. */
  readonly blocked?: { readonly arn: string; readonly word: OperatorWord | null };
}

export interface OperatorWord {
  readonly reason: string;
  readonly since: number;
  [name: string]: unknown;
}

const MERGE_ROUNDS = 5;

export interface LoadedFile {
  readonly file: TenantFile;
  readonly bytes: Buffer;
  readonly etag: string;
}

export async function loadTenantFile(store: Store, tenant: string): Promise<LoadedFile | undefined> {
  try {
    const found = await readTenantFile(store, tenant);
    if (!found) return undefined;
    const file = tenantFile.safeParse(parseJson(found.bytes));
    if (!file.success || file.data.tenant !== tenant)
      throw new SealdexError('PLATFORM_TENANTS', undefined, { reason: 'Malformed' });
    return { file: file.data, ...found };
  } catch (error) {
    if (isRefusal(error))
      throw new SealdexError('PLATFORM_TENANTS', undefined, { reason: error.reason ?? 'Refused', cause: error });
    throw error;
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Reads, merges and writes again until nobody wrote in between. */
export async function putTenantFile(
  store: Store,
  tenant: string,
  change: TenantChange,
): Promise<{ made: boolean; file: TenantFile }> {
  let made: Buffer | undefined;
  for (let round = 0; round < MERGE_ROUNDS; round++) {
    const loaded = await loadTenantFile(store, tenant);
    // The answer to our own write was lost.
    if (loaded && made?.equals(loaded.bytes)) return { made: true, file: loaded.file };
    const file = merge(tenant, loaded?.file, change);
    const bytes = Buffer.from(`${JSON.stringify(file, null, 2)}\n`);
    if (bytes.length > TENANT_FILE_BYTES) throw new SealdexError('PLATFORM_TENANTS', undefined, { reason: 'TooLarge' });
    if (!loaded) made = bytes;
    const answer = await writeTenantFile(store, tenant, bytes, loaded?.etag);
    if (answer.kind === 'written') return { made: loaded === undefined, file };
  }
  throw new SealdexError('TENANT_CHANGED');
}

/** The file after the change; what the change does not name stays, fields that we do not know included. */
function merge(tenant: string, file: TenantFile | undefined, change: TenantChange): TenantFile {
  checkKey(tenant, file, change.kmsKeyArn);
  const before = file ?? made(tenant, change);
  const plan = change.plan ?? before.plan;
  if (file && plan === 'free' && file.kmsKeyArn !== undefined) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      `Tenant ${tenant} has a KMS key of its own: it stays on plan pro or enterprise.`,
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
  if (change.paused) after.paused = change.paused;
  if (change.paused === null) delete after.paused;
  return after;
}

function blockedAfter(before: TenantFile['blockedKeys'], change: TenantChange['blocked']): TenantFile['blockedKeys'] {
  if (!change) return before;
  const others = before.filter(({ arn }) => arn !== change.arn);
  return change.word ? [...others, { arn: change.arn, ...change.word }] : others;
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
    `Tenant ${tenant} exists and has ${file.kmsKeyArn === undefined ? 'the platform key' : 'another KMS key'}: changing the key moves every document and is a step of its own, which is not built yet.`,
    { field: 'kmsKeyArn' },
  );
}

function made(tenant: string, { plan, kmsKeyArn }: TenantChange): TenantFile {
  if (plan === undefined)
    throw new SealdexError(
      'TENANT_UNKNOWN',
      `There is no tenant ${tenant}: sealdex tenants put ${tenant} --plan pro makes one.`,
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
    history: [],
  };
}

export function checkPlan(plan: Plan, kmsKeyArn: string | undefined): void {
  if (plan === 'free' && kmsKeyArn !== undefined) {
    throw new SealdexError(
      'TENANT_KEY_INVALID',
      'Plan free has no KMS key of its own: choose plan pro or enterprise, or leave the key out.',
      { field: 'plan' },
    );
  }
}
