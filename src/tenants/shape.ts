// The shape of a tenant's file (contract), as read and as written.
import { z } from 'zod';
import { PLANS, WHEN_KEY_SHUT } from '../runtime/names.ts';
import { isKeyArn } from '../runtime/key-arn.ts';

const keyArn = z.string().refine(isKeyArn);

/** An operator stop's reason, and since when it applies (wall clock, milliseconds). */
const stopText = z.looseObject({ reason: z.string(), since: z.number() });

/** When the tenant was deleted (wall clock, milliseconds), and by whom, as AWS names them. */
const deletion = z.looseObject({ at: z.number().nonnegative().max(8.64e15), operator: z.string().optional() });

/** What stands in the history of a tenant whose KMS key was changed; a key is its ARN, or `platform`. */
export interface KeyChangeEntry {
  readonly change: 'key';
  /** 16 hex digits: of two alike changes, which one this was. */
  readonly id: string;
  /** Wall clock, milliseconds. */
  readonly at: number;
  /** Who changed it, as AWS names them. */
  readonly operator: string;
  readonly from: string;
  readonly to: string;
  /** The origin of the key, outside KMS, that the operator allowed. */
  readonly allowedOrigin?: string;
}

/** What is stored moves to the current KMS key since (wall clock, milliseconds) the key change of this id. */
const reencryption = z.looseObject({ id: z.string().regex(/^[0-9a-f]{16}$/), since: z.number() });

export type ReencryptionFacts = z.infer<typeof reencryption>;

/** The file (contract). Fields that a newer version put there are kept. */
export const tenantFile = z.looseObject({
  /** Version of the format. */
  v: z.literal(1),
  /** Name of the tenant. */
  tenant: z.string(),
  /** Plan of the tenant. */
  plan: z.enum(PLANS),
  /** ARN of the KMS key of the tenant; the platform key if absent. */
  kmsKeyArn: keyArn.optional(),
  /** ARNs of the previous KMS keys of the tenant. */
  formerKeyArns: z.array(keyArn),
  /** Effect of an unusable key on new content: wait under the platform key (`park`) or be rejected (`refuse`). */
  whenKeyShut: z.enum(WHEN_KEY_SHUT),
  /** True keeps uploaded files, encrypted. */
  keepOriginals: z.boolean(),
  /** Pause by the operator: its reason and start (Unix time in milliseconds). */
  paused: stopText.optional(),
  /** KMS keys that the operator blocked. */
  blockedKeys: z.array(stopText.extend({ arn: keyArn })),
  /** Key change for which stored objects are being re-encrypted. */
  reencryption: reencryption.optional(),
  /** Deletion of the tenant. The file stays, so that its name and KMS keys are not reused unnoticed. */
  deleted: deletion.optional(),
  /** Key changes so far. */
  history: z.array(z.unknown()),
});

export type TenantDeletion = z.infer<typeof deletion>;

/** Configuration of a tenant, as stored in the bucket. */
export type TenantFile = z.infer<typeof tenantFile>;
