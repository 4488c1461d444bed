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
  v: z.literal(1),
  tenant: z.string(),
  plan: z.enum(PLANS),
  kmsKeyArn: keyArn.optional(),
  formerKeyArns: z.array(keyArn),
  whenKeyShut: z.enum(WHEN_KEY_SHUT),
  keepOriginals: z.boolean(),
  paused: stopText.optional(),
  blockedKeys: z.array(stopText.extend({ arn: keyArn })),
  reencryption: reencryption.optional(),
  /** The tenant has left: what is left of it is this file, which keeps its name and its KMS keys from being given again unnoticed. */
  deleted: deletion.optional(),
  history: z.array(z.unknown()),
});

export type TenantDeletion = z.infer<typeof deletion>;

export type TenantFile = z.infer<typeof tenantFile>;
