// The order in which our own installation is looked at. A part that cannot be reached ends its own checks, no others.
import { checkAuditLog } from '../runtime/audit-log.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Role } from '../maintenance/heartbeat.ts';
import type { KeyCalls } from '../keys/kms.ts';
import type { Redis } from '../runtime/redis.ts';
import type { BucketSettings } from '../store/bucket-settings.ts';
import type { Store } from '../store/store.ts';
import { bucketChecks, reachCheck } from './bucket.ts';
import { bucketSettingsChecks } from './bucket-settings.ts';
import { CHECK_MS, examine, fail, failure, markOf, ok, warn, type Check, type Finding } from './finding.ts';
import { platformKeyChecks } from './platform-key.ts';
import { redisChecks } from './redis.ts';

export type { Finding } from './finding.ts';

interface Bucket {
  readonly store: Store;
  readonly settings: BucketSettings;
}

export interface DoctorDeps {
  readonly values: Partial<Config>;
  /** Of the settings, a sentence each. */
  readonly faults: readonly string[];
  readonly clock: Clock;
  readonly role: Role;
  readonly checkMs?: number | undefined;
  /** Each is undefined where the settings that it takes are wrong. */
  readonly openRedis: (() => Promise<Redis>) | undefined;
  readonly openBucket: (() => Bucket) | undefined;
  readonly openKeys: (() => KeyCalls) | undefined;
}

const part = (found: Promise<Finding[]>, check: string): Promise<Finding[]> =>
  found.catch((error: unknown) => [{ check, ...failure(error) }]);

/** Each finding as soon as those before it are known. */
export async function* findings(deps: DoctorDeps): AsyncGenerator<Finding> {
  yield* settingsFindings(deps);
  yield* auditLogFindings(deps);
  // All at once: the next part does not wait for one that does not answer.
  const parts = [part(redisPart(deps), 'redis'), part(bucketPart(deps), 'bucket'), part(keyPart(deps), 'platform key')];
  for (const found of parts) yield* await found;
}

function* settingsFindings({ faults }: DoctorDeps): Generator<Finding> {
  for (const fault of faults) yield { check: 'settings', ...fail(`${fault}.`, 'Mend it in the environment.') };
  if (faults.length === 0) yield { check: 'settings', ...ok('All are right.') };
}

function* auditLogFindings({ values: { auditLog } }: DoctorDeps): Generator<Finding> {
  if (auditLog === undefined) return;
  const check = 'audit log';
  try {
    checkAuditLog(auditLog);
    const where = auditLog === 'stdout' ? 'standard output, beside the log' : auditLog;
    yield { check, ...ok(`Lines go to ${where}.`) };
  } catch (error) {
    yield { check, ...fail((error as Error).message, 'Nothing starts before that.') };
  }
}

const unasked = (check: string): Finding[] => [
  { check, ...warn('Not looked at: its settings are wrong.', 'Mend them, and look again.') },
];

const all = ({ clock, checkMs = CHECK_MS }: DoctorDeps, checks: readonly Check[]): Promise<Finding[]> =>
  Promise.all(checks.map((check) => examine(clock, check, checkMs)));

async function redisPart(deps: DoctorDeps): Promise<Finding[]> {
  const { openRedis, values, clock } = deps;
  if (!openRedis) return unasked('redis');
  let redis: Redis | undefined;
  const [reached] = await all(deps, [
    {
      check: 'redis',
      async look() {
        try {
          redis = await openRedis();
          return ok('It answers.');
        } catch (error) {
          if (!(error instanceof SealdexError)) throw error;
          return fail(`It does not answer (${markOf(error)}).`, 'Check that it runs, and REDIS_URL.');
        }
      },
    },
  ]);
  if (!redis || reached === undefined) return reached === undefined ? [] : [reached];
  return [reached, ...(await all(deps, redisChecks(redis, values.queue ?? 'main', clock)))];
}

async function bucketPart(deps: DoctorDeps): Promise<Finding[]> {
  const { openBucket, values, role } = deps;
  if (!openBucket) return unasked('bucket');
  const { store, settings } = openBucket();
  const asked = { store, role, bucket: values.bucket ?? '', queue: values.queue ?? 'main' };
  const reached = await all(deps, [reachCheck(asked)]);
  if (reached.some(({ verdict }) => verdict === 'fail')) return reached;
  return [...reached, ...(await all(deps, [...bucketChecks(asked), ...bucketSettingsChecks(settings)]))];
}

async function keyPart(deps: DoctorDeps): Promise<Finding[]> {
  const { openKeys, values, role, clock } = deps;
  const { platformKeyArn, platformFormerKeyArns = [] } = values;
  if (!openKeys || platformKeyArn === undefined) return unasked('platform key');
  return all(deps, platformKeyChecks({ calls: openKeys(), clock, role, platformKeyArn, platformFormerKeyArns }));
}
