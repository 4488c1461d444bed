// Key ARNs: their format and region.

/** The full ARN of a KMS key; no alias, no bare id. */
export const KEY_ARN = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/;

/** Returns true for the full ARN of a KMS key. */
export const isKeyArn = (text: string): boolean => KEY_ARN.test(text);

/** The region named in the ARN of a KMS key. */
export const regionOf = (arn: string): string => arn.split(':')[3] ?? '';
