// What the name of a KMS key says already: whether it is a full ARN, of our region, and not our own key. Asks nobody.
import { isKeyArn, regionOf } from '../../runtime/key-arn.ts';
import { failed, passed, type CheckStep } from './step.ts';

export interface Installation {
  readonly region: string;
  readonly platformKeyArn: string;
  readonly platformFormerKeyArns: readonly string[];
}

/** A key with copies in several regions. */
export const isMultiRegion = (arn: string): boolean => arn.includes(':key/mrk-');

export function arnStep(arn: string, { region }: Installation): CheckStep {
  if (!isKeyArn(arn)) return failed('arn', formOf(arn), 'Give the full ARN: arn:aws:kms:REGION:ACCOUNT:key/ID.');
  const found = regionOf(arn);
  if (found === region) return passed('arn', `The full ARN of a key in ${region}.`);
  const way = isMultiRegion(arn)
    ? `The tenant creates a replica of it in ${region}, and gives the ARN of that.`
    : `The tenant makes a key in ${region}; a multi-region key with a replica there will do.`;
  return failed('arn', `The key is in ${found}, and this installation in ${region}.`, way);
}

function formOf(text: string): string {
  if (/(^|:)alias\//.test(text)) return 'An alias, which can be pointed to another key at any time.';
  if (/^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(text))
    return 'The bare id of a key, which names neither account nor region.';
  return 'Not the full ARN of a KMS key.';
}

export function ownerStep(arn: string, { platformKeyArn, platformFormerKeyArns }: Installation): CheckStep {
  const remedy = 'The tenant gives a key of its own; without one, the platform key serves it anyway.';
  if (arn === platformKeyArn) return failed('owner', 'This is our own platform key.', remedy);
  if (platformFormerKeyArns.includes(arn)) return failed('owner', 'This was our own platform key once.', remedy);
  return passed('owner', 'No platform key of ours, today or in the past.');
}
