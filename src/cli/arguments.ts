// Checks of arguments: KMS key ARNs and reasons.
import { REASON_CHARS } from '../runtime/names.ts';
import { isKeyArn } from '../runtime/key-arn.ts';
import { UsageError } from './failure.ts';

/** The full ARN of a KMS key. @throws UsageError */
export function checkArn(text: string): string {
  if (isKeyArn(text)) return text;
  throw new UsageError(
    'Give the full ARN of the KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias or a key id.',
  );
}

/** The reason of an operator stop. @throws UsageError */
export function checkReason(text: string): string {
  const reason = text.trim();
  if (reason.length > 0 && reason.length <= REASON_CHARS) return reason;
  throw new UsageError(`--reason must be 1 to ${REASON_CHARS} characters.`);
}

/** The options that are defined. */
export const given = <Options extends object>(
  options: Options,
): { [Name in keyof Options]?: NonNullable<Options[Name]> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Options]?: NonNullable<Options[Name]>;
  };
