// Checks of the installation and their order. An unreachable part ends its own checks only.
import { checkAuditLog } from '../runtime/audit-log.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import { isReplyError } from '../runtime/redis-errors.ts';
import { withMark } from '../runtime/sentences.ts';
import type { Role } from '../maintenance/heartbeat.ts';
import type { KeyCalls } from '../keys/kms.ts';
import type { Redis } from '../runtime/redis.ts';
import type { BucketSettings } from '../store/bucket-settings.ts';
import type { Store } from '../store/store.ts';
import { bucketChecks, reachCheck } from './bucket.ts';
import { bucketSettingsChecks } from './bucket-settings.ts';
import {
  CHECK_MS,
  examine,
  failed,
  failure,
  markOf,
  passed,
  warning,
  type Check,
  type CheckResult,
  type NamedCheckResult,
} from './finding.ts';
import { platformKeyChecks } from './platform-key.ts';
import { redisChecks } from './redis.ts';

export type { NamedCheckResult as Finding } from './finding.ts';

interface Bucket {
  readonly store: Store;
  readonly settings: BucketSettings;
}

export interface DoctorDeps {
  readonly values: Partial<Config>;
  /** Problems of the settings, one sentence each. */
  readonly faults: readonly string[];
  readonly clock: Clock;
  readonly role: Role;
  readonly checkMs?: number | undefined;
  /** Each is undefined if its settings are invalid. */
  readonly openRedis: (() => Promise<Redis>) | undefined;
  readonly openBucket: (() => Bucket) | undefined;
  readonly openKeys: (() => KeyCalls) | undefined;
}

const part = (found: Promise<NamedCheckResult[]>, check: string): Promise<NamedCheckResult[]> =>
  found.catch((error: unknown) => [{ check, ...failure(error) }]);

/** Yields each result as soon as the previous ones are known. */
export async function* findings(deps: DoctorDeps): AsyncGenerator<NamedCheckResult> {
  yield* settingsFindings(deps);
  yield* auditLogFindings(deps);
  // In parallel: a part that does not respond does not delay the next one.
  const parts = [part(redisPart(deps), 'redis'), part(bucketPart(deps), 'bucket'), part(keyPart(deps), 'platform key')];
  for (const found of parts) yield* await found;
}

function* settingsFindings({ faults }: DoctorDeps): Generator<NamedCheckResult> {
  for (const fault of faults) yield { check: 'settings', ...failed(`${fault}.`, 'Correct it in the environment.') };
  if (faults.length === 0) yield { check: 'settings', ...passed('All settings are valid.') };
}

function* auditLogFindings({ values: { auditLog } }: DoctorDeps): Generator<NamedCheckResult> {
  if (auditLog === undefined) return;
  const check = 'audit log';
  try {
    checkAuditLog(auditLog);
    const where = auditLog === 'stdout' ? 'standard output, together with the log' : auditLog;
    yield { check, ...passed(`Lines go to ${where}.`) };
  } catch (error) {
    yield { check, ...failed((error as Error).message, 'No process can start until this is fixed.') };
  }
}

const skippedChecks = (check: string): NamedCheckResult[] => [
  { check, ...warning('Skipped because its settings are invalid.', 'Correct them and rerun sealdex doctor.') },
];

const all = ({ clock, checkMs = CHECK_MS }: DoctorDeps, checks: readonly Check[]): Promise<NamedCheckResult[]> =>
  Promise.all(checks.map((check) => examine(clock, check, checkMs)));

async function redisPart(deps: DoctorDeps): Promise<NamedCheckResult[]> {
  const { openRedis, values, clock } = deps;
  if (!openRedis) return skippedChecks('redis');
  let redis: Redis | undefined;
  const [reached] = await all(deps, [
    {
      check: 'redis',
      async run() {
        try {
          redis = await openRedis();
          return passed('Redis responds.');
        } catch (error) {
          if (!(error instanceof SealdexError)) throw error;
          return redisFailure(error);
        }
      },
    },
  ]);
  if (!redis || reached === undefined) return reached === undefined ? [] : [reached];
  return [reached, ...(await all(deps, redisChecks(redis, values.queue ?? 'main', clock)))];
}

/** With the sentence of a reply; without one, Redis did not respond. */
function redisFailure(error: SealdexError): CheckResult {
  const [description = '', ...remedy] = withMark(error.message, markOf(error)).split(/(?<=\.) (?=[A-Z])/);
  if (error.code === 'CONFIG_INVALID' || isReplyError(error)) return failed(description, remedy.join(' '));
  return failed(
    `Redis does not respond (${markOf(error)}).`,
    'Check that Redis is running and that REDIS_URL is correct.',
  );
}

async function bucketPart(deps: DoctorDeps): Promise<NamedCheckResult[]> {
  const { openBucket, values, role } = deps;
  if (!openBucket) return skippedChecks('bucket');
  const { store, settings } = openBucket();
  const bucketDeps = { store, role, bucket: values.bucket ?? '', queue: values.queue ?? 'main' };
  const reached = await all(deps, [reachCheck(bucketDeps)]);
  if (reached.some(({ status }) => status === 'fail')) return reached;
  return [...reached, ...(await all(deps, [...bucketChecks(bucketDeps), ...bucketSettingsChecks(settings)]))];
}

async function keyPart(deps: DoctorDeps): Promise<NamedCheckResult[]> {
  const { openKeys, values, role, clock } = deps;
  const { platformKeyArn, platformFormerKeyArns = [] } = values;
  if (!openKeys || platformKeyArn === undefined) return skippedChecks('platform key');
  return all(deps, platformKeyChecks({ calls: openKeys(), clock, role, platformKeyArn, platformFormerKeyArns }));
}
