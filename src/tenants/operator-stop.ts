// Operator stops: a paused tenant or a blocked KMS key, as stored in the tenant's file.
import { REASON_CHARS } from '../runtime/names.ts';
import type { TenantFile } from './shape.ts';

/** `TENANT_PAUSED` stops all of a tenant's jobs, `KEY_BLOCKED` the use of one of its KMS keys. Only an operator lifts it. */
export interface OperatorStop {
  readonly code: 'TENANT_PAUSED' | 'KEY_BLOCKED';
  /** Wall clock, milliseconds. */
  readonly since: number;
  /** Text of the operator. */
  readonly reason: string;
}

/** A stop in a change of the file. The field of the change defines if it is a pause or a block. */
export type StopText = Omit<OperatorStop, 'code'>;

/** A longer reason was written into the file by hand and is truncated. */
const stopOf = (code: OperatorStop['code'], { since, reason }: StopText): OperatorStop => ({
  code,
  since,
  reason: reason.slice(0, REASON_CHARS),
});

/** All blocked KMS keys, current and former, by ARN. */
export const blockedKeysIn = ({ blockedKeys }: Pick<TenantFile, 'blockedKeys'>): ReadonlyMap<string, OperatorStop> =>
  new Map(blockedKeys.map((blocked) => [blocked.arn, stopOf('KEY_BLOCKED', blocked)]));

/** The stop that applies to a KMS key of the tenant, if any: a pause applies to all of them. */
export const operatorStopIn = (
  file: Pick<TenantFile, 'paused' | 'blockedKeys'>,
  keyArn: string,
): OperatorStop | undefined => (file.paused ? stopOf('TENANT_PAUSED', file.paused) : blockedKeysIn(file).get(keyArn));
