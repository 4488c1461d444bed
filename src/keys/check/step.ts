// Steps of the check of a KMS key, and the conversion of a KMS error to a step. An error that gives no result about the key is
// thrown, so that the check is repeated later.
import type { KeyRef } from '../../runtime/key-ref.ts';
import { CODES, SealdexError, type Code } from '../../runtime/errors.ts';
import { sentenceOf } from '../../runtime/sentences.ts';

/** Name of a step of the check of a KMS key. */
export type KeyStep =
  | 'arn'
  | 'owner'
  | 'DescribeKey'
  | 'key spec'
  | 'key usage'
  | 'key state'
  | 'regions'
  | 'origin'
  | 'GenerateDataKey'
  | 'Encrypt'
  | 'Decrypt'
  | 'ReEncrypt'
  | 'wrong context'
  | 'other tenant'
  | 'plan'
  | 'block'
  | 'other owners';

/** Result of one step of the check of a KMS key. */
export interface CheckStep {
  /** Name of the step. */
  readonly step: KeyStep;
  /** `warn`: the key can be attached, but should not be without a reason. `fail`: the key cannot be attached. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** What the step found, as a sentence. */
  readonly observed: string;
  /** What to do about it, as a sentence or a command. */
  readonly remedy?: string;
}

export const passed = (step: KeyStep, observed: string): CheckStep => ({ step, status: 'ok', observed });
export const warning = (step: KeyStep, observed: string, remedy: string): CheckStep => ({
  step,
  status: 'warn',
  observed,
  remedy,
});
export const failed = (step: KeyStep, observed: string, remedy: string): CheckStep => ({
  step,
  status: 'fail',
  observed,
  remedy,
});

/** Remedy when a response cannot come from KMS. */
export const PROXY = 'Check for a proxy or emulator between this host and KMS.';

/** Caused by sealdex or AWS; the key's owner cannot fix it. */
const NOT_OF_KEY: ReadonlySet<Code> = new Set([
  'KMS_THROTTLED',
  'KMS_FAILED',
  'PLATFORM_CREDENTIALS',
  'PLATFORM_KEY',
  'INTERNAL',
]);

/** KMS responded, but not with this key. */
const REASONS_OF_KEY: ReadonlySet<string> = new Set(['OtherKeyAnswered', 'KeyLength', 'OtherPlaintext']);

/**
 * Returns the rejection of the key. @throws SealdexError if the error gives no result about the key; any other error unchanged
 */
export function refusalIn(error: unknown): SealdexError {
  if (!(error instanceof SealdexError)) throw error;
  const { code, reason, keyArn, requestId } = error;
  if (!NOT_OF_KEY.has(code) || REASONS_OF_KEY.has(reason ?? '')) return error;
  const { description, remedy } = CODES[code];
  throw new SealdexError(code, `Could not check the KMS key because ${description}. ${sentenceOf(remedy)}`, {
    cause: error.cause,
    requestId,
    ...(reason === undefined ? {} : { reason }),
    ...(keyArn === undefined ? {} : { keyArn }),
  });
}

/** A step that KMS rejected. `action`: the IAM action. */
export function refused(step: KeyStep, action: string, { tenant }: KeyRef, fault: SealdexError): CheckStep {
  const { code, reason, deniedBy } = fault;
  const mark = `(${reason === undefined ? code : `${code} ${reason}`})`;
  if (code === 'KEY_DENIED') {
    const operatorRemedy = `Allow ${action} on this key in the role's IAM policy, permissions boundary and SCPs.`;
    const tenantRemedy = `Ask the tenant to allow the sealdex role ${action} in the key policy. Statements: sealdex keys policy --tenant ${tenant} --principal ROLE_ARN`;
    return failed(step, `KMS denied ${action} ${mark}.`, deniedBy === 'operator' ? operatorRemedy : tenantRemedy);
  }
  if (code === 'OBJECT_TAMPERED') return failed(step, `KMS did not accept its own ciphertext ${mark}.`, PROXY);
  if (code === 'INTERNAL') return failed(step, `KMS returned a response for another key ${mark}.`, PROXY);
  const { description, remedy } = CODES[code];
  return failed(step, `KMS rejected ${action} because ${description} ${mark}.`, sentenceOf(remedy));
}
