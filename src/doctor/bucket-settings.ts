// What the bucket is set to, and what that means for documents, deletes and waiting content. Often it may not be seen by who
// may do all the rest: that is no fault.
import type { BucketSettings, LifecycleRule } from '../store/bucket-settings.ts';
import { isDenial, isUnsupported, type StoreError } from '../store/store.ts';
import { markOf, ok, warn, type Check, type Found } from './finding.ts';

const PREFIXES = ['documents/', 'intake/', 'originals/', 'system/', 'tenants/'] as const;

/** Storage classes that an object must be brought back from before it can be read. */
const COLD = new Set(['GLACIER', 'DEEP_ARCHIVE']);

export const bucketSettingsChecks = (settings: BucketSettings): Check[] => [
  { check: 'bucket versions', look: (signal) => seen('s3:GetBucketVersioning', () => versions(settings, signal)) },
  {
    check: 'bucket lifecycle',
    look: (signal) => seen('s3:GetLifecycleConfiguration', async () => lifecycleOf(await settings.lifecycle(signal))),
  },
  { check: 'bucket encryption', look: (signal) => encryption(settings, signal) },
];

/** The store's own answer that it does not tell; no answer at all is a failure. */
const isUntold = (error: unknown): error is StoreError => isDenial(error) || isUnsupported(error);

async function seen(action: string, look: () => Promise<Found>): Promise<Found> {
  try {
    return await look();
  } catch (error) {
    if (!isUntold(error)) throw error;
    return warn(`It could not be seen (${markOf(error)}).`, `Look at it yourself, or allow ${action}.`);
  }
}

async function versions(settings: BucketSettings, signal: AbortSignal): Promise<Found> {
  const state = await settings.versioning(signal);
  if (state === 'off') return ok('Off: what is deleted is gone.');
  const rules = await settings.lifecycle(signal).catch(() => []);
  const dropping = rules.filter(
    ({ dropsVersionsAfterDays, isForTagged }) => dropsVersionsAfterDays !== undefined && !isForTagged,
  );
  const open = PREFIXES.filter((prefix) => !dropping.some((rule) => prefix.startsWith(rule.prefix)));
  const saw = `${state === 'on' ? 'On' : 'Suspended'}: deleted and replaced documents stay in the bucket as older versions`;
  if (open.length === 0) {
    const days = Math.max(...dropping.map(({ dropsVersionsAfterDays = 0 }) => dropsVersionsAfterDays));
    return warn(`${saw}, for ${days} days at most.`, 'Count these days to what you promise about deletes.');
  }
  return warn(
    `${saw}, for ever under ${open.join(', ')}.`,
    'Add a lifecycle rule with NoncurrentVersionExpiration, or turn versions off.',
  );
}

export function lifecycleOf(rules: readonly LifecycleRule[]): Found {
  const harmful = rules.flatMap((rule) => {
    const words = wordsOf(rule);
    const met = PREFIXES.filter((prefix) => prefix.startsWith(rule.prefix) || rule.prefix.startsWith(prefix));
    return words === undefined || rule.isForTagged || met.length === 0
      ? []
      : [`rule ${rule.id} ${words} under ${met.join(', ')}`];
  });
  if (harmful.length === 0) return ok(rules.length === 0 ? 'No rules.' : 'No rule takes anything of ours.');
  return warn(
    `${harmful.join('; ')}.`.replace(/^r/, 'R'),
    'End these rules for our prefixes: documents are deleted by jobs, and waiting content and letters have settings.',
  );
}

/** What a rule does to current objects that we still need. */
function wordsOf({ expiresAfterDays, expiresAt, movesTo }: LifecycleRule): string | undefined {
  if (expiresAfterDays !== undefined) return `removes objects after ${expiresAfterDays} days`;
  if (expiresAt !== undefined) return `removes objects on ${expiresAt.toISOString().slice(0, 10)}`;
  const cold = movesTo.filter((name) => COLD.has(name));
  return cold.length === 0 ? undefined : `moves objects to ${cold.join(', ')}, where they cannot be read`;
}

async function encryption(settings: BucketSettings, signal: AbortSignal): Promise<Found> {
  const rest = 'content is encrypted before it gets there';
  try {
    const algorithm = await settings.encryption(signal);
    if (algorithm === undefined) return ok(`S3 adds none of its own; ${rest}.`);
    if (!algorithm.startsWith('aws:kms')) return ok(`S3 adds its own (${algorithm}); ${rest}.`);
    return warn(
      `S3 adds its own with a KMS key (${algorithm}); ${rest}.`,
      'Each object depends on that key too: our role needs kms:GenerateDataKey and kms:Decrypt for it.',
    );
  } catch (error) {
    if (!isUntold(error)) throw error;
    return ok(`It could not be seen (${markOf(error)}); ${rest}.`);
  }
}
