// What a check of a KMS key finds, step by step, and how a refusal of KMS becomes such a step.
// A fault that says nothing about the key is no step: it is thrown, and the check is made again later.
import type { KeyRef } from '../../runtime/key-ref.ts';
import { CODES, SealdexError, type Code } from '../../runtime/errors.ts';

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

export interface CheckStep {
  readonly step: KeyStep;
  /** `fail`: the key cannot be attached. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** A sentence. */
  readonly observed: string;
  /** Who has to do what, a sentence. */
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

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Ours or AWS', and nothing that the key's owner could mend. */
const PASSING: ReadonlySet<Code> = new Set([
  'KMS_THROTTLED',
  'KMS_FAILED',
  'PLATFORM_CREDENTIALS',
  'PLATFORM_KEY',
  'INTERNAL',
]);

/** KMS answered, and not as this key must. */
const MEANT_BY_INTERNAL: ReadonlySet<string> = new Set(['OtherKeyAnswered', 'KeyLength', 'OtherPlaintext']);

/** The refusal itself. @throws SealdexError when the error says nothing about the key, what is no SealdexError as it is */
export function refusalIn(error: unknown): SealdexError {
  if (!(error instanceof SealdexError)) throw error;
  const { code, reason, keyArn, requestId } = error;
  if (!PASSING.has(code) || MEANT_BY_INTERNAL.has(reason ?? '')) return error;
  const { description, remedy } = CODES[code];
  const way = remedy.startsWith('nothing') ? 'try again' : `${remedy}, and try again`;
  throw new SealdexError(code, `The KMS key could not be checked, since ${description}: ${way}.`, {
    cause: error.cause,
    requestId,
    ...(reason === undefined ? {} : { reason }),
    ...(keyArn === undefined ? {} : { keyArn }),
  });
}

/** A step that KMS refused. `action` is what a policy calls it. */
export function refused(step: KeyStep, action: string, { tenant }: KeyRef, fault: SealdexError): CheckStep {
  const { code, reason, deniedBy } = fault;
  const mark = `(${reason === undefined ? code : `${code} ${reason}`})`;
  if (code === 'KEY_DENIED') {
    const ours = `Allow ${action} on this key in our own IAM policy, and in what else binds our role.`;
    const theirs = `The tenant allows our role ${action} in the key policy: sealdex keys policy --tenant ${tenant} --principal ROLE_ARN prints it.`;
    return failed(step, `KMS denies us ${action} ${mark}.`, deniedBy === 'operator' ? ours : theirs);
  }
  if (code === 'OBJECT_TAMPERED')
    return failed(step, `KMS does not take back what it made itself ${mark}.`, 'Find what stands between us and KMS.');
  if (code === 'INTERNAL')
    return failed(step, `What KMS answered is not of this key ${mark}.`, 'Find what stands between us and KMS.');
  const { description, remedy } = CODES[code];
  return failed(step, `KMS refuses ${action}: ${description} ${mark}.`, sentence(remedy));
}
