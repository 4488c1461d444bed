// Shape of a tenant's file (contract), for reading and writing.
import { z } from 'zod';
import { PLANS, WHEN_KEY_SHUT } from '../runtime/names.ts';
import { isKeyArn } from '../runtime/key-arn.ts';

const keyArn = z.string().refine(isKeyArn);

/** Reason of an operator stop, and its start (wall clock, milliseconds). */
const stopText = z.looseObject({ reason: z.string(), since: z.number() });

/** Time of the deletion (wall clock, milliseconds), and its author as an AWS ARN. */
const deletion = z.looseObject({ at: z.number().nonnegative().max(8.64e15), operator: z.string().optional() });

/** Entry in the history of a tenant's KMS keys; a key is its ARN, or `platform`. */
export interface KeyChangeEntry {
  readonly change: 'key';
  /** 16 hex digits that distinguish equal changes. */
  readonly id: string;
  /** Wall clock, milliseconds. */
  readonly at: number;
  /** Author of the change, as an AWS ARN. */
  readonly operator: string;
  readonly from: string;
  readonly to: string;
  /** The origin outside KMS that the operator allowed. */
  readonly allowedOrigin?: string;
}

/** Re-encryption for the key change of this id, and its start (wall clock, milliseconds). */
const reencryption = z.looseObject({ id: z.string().regex(/^[0-9a-f]{16}$/), since: z.number() });

export type ReencryptionFacts = z.infer<typeof reencryption>;

/** The file (contract). Fields of newer versions are kept. */
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
  /** Pause by an operator: its reason and start (Unix time in milliseconds). */
  paused: stopText.optional(),
  /** KMS keys that an operator blocked. */
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
