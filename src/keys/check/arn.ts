// Checks the ARN of a KMS key: its format, its region, and that it is not the platform key. Makes no calls.
import { isKeyArn, regionOf } from '../../runtime/key-arn.ts';
import { failed, passed, type CheckStep } from './step.ts';

export interface Installation {
  readonly region: string;
  readonly platformKeyArn: string;
  readonly platformFormerKeyArns: readonly string[];
}

/** A multi-region key. */
export const isMultiRegion = (arn: string): boolean => arn.includes(':key/mrk-');

export function arnStep(arn: string, { region }: Installation): CheckStep {
  if (!isKeyArn(arn)) return failed('arn', formOf(arn), 'Give the full ARN: arn:aws:kms:REGION:ACCOUNT:key/ID.');
  const found = regionOf(arn);
  if (found === region) return passed('arn', `Full ARN of a key in ${region}.`);
  const way = isMultiRegion(arn)
    ? `Ask the tenant to create a replica in ${region} and to give its ARN.`
    : `Ask the tenant for a key in ${region}, or a multi-region key with a replica in ${region}.`;
  return failed('arn', `The key is in ${found}, but this installation is in ${region}.`, way);
}

function formOf(text: string): string {
  if (/(^|:)alias\//.test(text)) return 'This is an alias, which can be moved to another key at any time.';
  if (/^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(text))
    return 'This is a key id without account and region.';
  return 'This is not the full ARN of a KMS key.';
}

export function ownerStep(arn: string, { platformKeyArn, platformFormerKeyArns }: Installation): CheckStep {
  const remedy = 'Ask the tenant for its own key. To use the platform key, omit the key.';
  if (arn === platformKeyArn) return failed('owner', 'This is the platform key.', remedy);
  if (platformFormerKeyArns.includes(arn)) return failed('owner', 'This is a former platform key.', remedy);
  return passed('owner', 'Not a platform key.');
}
