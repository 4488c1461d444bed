// What operators name on the command line beside tenants and corpora: KMS keys and reasons.
// How the text of an option is split is commander's business.
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

/** Why the operator stops something, for who looks later. @throws UsageError */
export function checkReason(text: string): string {
  const reason = text.trim();
  if (reason.length > 0 && reason.length <= REASON_CHARS) return reason;
  throw new UsageError(`--reason must be 1 to ${REASON_CHARS} characters.`);
}

/** The options that were given, without those that were not. */
export const given = <Options extends object>(
  options: Options,
): { [Name in keyof Options]?: NonNullable<Options[Name]> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Options]?: NonNullable<Options[Name]>;
  };
