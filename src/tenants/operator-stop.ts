// Operator stops: a paused tenant or a blocked KMS key, as the tenant's file says.
import { REASON_CHARS } from '../runtime/names.ts';
import type { TenantFile } from './shape.ts';

/** `TENANT_PAUSED` stops all of a tenant's jobs, `KEY_BLOCKED` the use of one of its KMS keys. Only the operator ends it. */
export interface OperatorStop {
  readonly code: 'TENANT_PAUSED' | 'KEY_BLOCKED';
  /** Wall clock, milliseconds. */
  readonly since: number;
  /** The operator's own text. */
  readonly reason: string;
}

/** A stop as a change of the file gives it; whether it is a pause or a block, the change says. */
export type StopText = Omit<OperatorStop, 'code'>;

/** Of a longer reason, which was written by hand, the beginning counts. */
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
