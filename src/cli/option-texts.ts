// Option texts: the help of arguments and options that several commands share.

export const TENANT = 'tenant name';
export const CORPUS = 'corpus name';
export const ONLY_TENANT = 'only this tenant';
export const KEY_ARN = 'full ARN of the KMS key';
export const SHARED = 'allow a key that another tenant uses or used';
export const ALLOW_ORIGIN = 'accept a key whose material is outside KMS';
export const WHEN_SHUT = 'what to do with content submitted while the KMS key is unusable';
export const REASON = 'reason, shown by sealdex keys list';
export const YES = 'skip the confirmation prompt';
export const JSON_OBJECT = 'print one JSON object';
export const JSON_LINE = 'print one line of JSON';

export const WIDE = 'show every column in full, on lines of any length';

export const WIDE_CHECKS = 'print each check on one line';
export const WIDE_REPORT = 'print each finding on lines of any length';

export const jsonLines = (unit: string): string => `print NDJSON, one line per ${unit}`;

/** KMS key in examples. */
export const EXAMPLE_ARN = 'arn:aws:kms:us-west-2:111122223333:key/…';
