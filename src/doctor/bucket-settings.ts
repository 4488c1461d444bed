// Checks the settings of the bucket for their effect on documents, deletions and intake content. A role without access to the
// settings is not a failure.
import type { BucketSettings, LifecycleRule } from '../store/bucket-settings.ts';
import { isDenial, isUnsupported, type StoreError } from '../store/store.ts';
import { markOf, passed, warning, type Check, type CheckResult } from './finding.ts';

const PREFIXES = ['documents/', 'intake/', 'originals/', 'system/', 'tenants/'] as const;

/** Storage classes whose objects must be restored before they can be read. */
const COLD = new Set(['GLACIER', 'DEEP_ARCHIVE']);

export const bucketSettingsChecks = (settings: BucketSettings): Check[] => [
  { check: 'bucket versions', run: (signal) => readable('s3:GetBucketVersioning', () => versions(settings, signal)) },
  {
    check: 'bucket lifecycle',
    run: (signal) =>
      readable('s3:GetLifecycleConfiguration', async () => lifecycleOf(await settings.lifecycle(signal))),
  },
  { check: 'bucket encryption', run: (signal) => encryption(settings, signal) },
];

/** Returns true if the store refused to return a setting; a missing response is a failure. */
const isUnavailable = (error: unknown): error is StoreError => isDenial(error) || isUnsupported(error);

async function readable(action: string, run: () => Promise<CheckResult>): Promise<CheckResult> {
  try {
    return await run();
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return warning(`Could not read the setting (${markOf(error)}).`, `Check it manually, or allow ${action}.`);
  }
}

async function versions(settings: BucketSettings, signal: AbortSignal): Promise<CheckResult> {
  const state = await settings.versioning(signal);
  if (state === 'off') return passed('Versioning is off; deletions are permanent.');
  const rules = await settings.lifecycle(signal).catch(() => []);
  const dropping = rules.filter(
    ({ dropsVersionsAfterDays, isForTagged }) => dropsVersionsAfterDays !== undefined && !isForTagged,
  );
  const open = PREFIXES.filter((prefix) => !dropping.some((rule) => prefix.startsWith(rule.prefix)));
  const observed = `Versioning is ${state === 'on' ? 'on' : 'suspended'}: deleted and replaced documents stay in the bucket as older versions`;
  if (open.length === 0) {
    const days = Math.max(...dropping.map(({ dropsVersionsAfterDays = 0 }) => dropsVersionsAfterDays));
    return warning(`${observed}, for at most ${days}d.`, 'Include this time in your deletion commitments.');
  }
  return warning(
    `${observed}, without a limit under ${open.join(', ')}.`,
    'Add a lifecycle rule with NoncurrentVersionExpiration, or turn versioning off.',
  );
}

function lifecycleOf(rules: readonly LifecycleRule[]): CheckResult {
  const harmful = rules.flatMap((rule) => {
    const effect = effectOf(rule);
    const affected = PREFIXES.filter((prefix) => prefix.startsWith(rule.prefix) || rule.prefix.startsWith(prefix));
    return effect === undefined || rule.isForTagged || affected.length === 0
      ? []
      : [`rule ${rule.id} ${effect} under ${affected.join(', ')}`];
  });
  if (harmful.length === 0)
    return passed(rules.length === 0 ? 'No rules.' : 'No lifecycle rule affects sealdex objects.');
  return warning(
    `${harmful.join('; ')}.`.replace(/^r/, 'R'),
    'Exclude the sealdex prefixes from these rules. Sealdex deletes its own objects.',
  );
}

/** The effect of a rule on current objects that sealdex still needs. */
function effectOf({ expiresAfterDays, expiresAt, movesTo }: LifecycleRule): string | undefined {
  if (expiresAfterDays !== undefined) return `deletes objects after ${expiresAfterDays}d`;
  if (expiresAt !== undefined) return `deletes objects on ${expiresAt.toISOString().slice(0, 10)}`;
  const cold = movesTo.filter((name) => COLD.has(name));
  return cold.length === 0 ? undefined : `moves objects to ${cold.join(', ')}, where they cannot be read`;
}

async function encryption(settings: BucketSettings, signal: AbortSignal): Promise<CheckResult> {
  const rest = 'content is encrypted by sealdex before upload';
  try {
    const algorithm = await settings.encryption(signal);
    if (algorithm === undefined) return passed(`No server-side encryption is configured; ${rest}.`);
    if (!algorithm.startsWith('aws:kms')) return passed(`Server-side encryption is on (${algorithm}); ${rest}.`);
    return warning(
      `Server-side encryption uses a KMS key (${algorithm}); ${rest}.`,
      'Every object also depends on that key. Allow the role kms:GenerateDataKey and kms:Decrypt on it.',
    );
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    return passed(`Could not read the setting (${markOf(error)}); ${rest}.`);
  }
}
