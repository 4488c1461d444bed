// Checks of the installation: opens the resources of the doctor from settings, as far as they are valid.
import { noAudit } from '../runtime/audit-log.ts';
import { systemClock, type Clock } from '../runtime/clock.ts';
import { readSettings, type Config, type Environment, type Settings } from '../runtime/config.ts';
import { findings, type Finding } from '../doctor/doctor.ts';
import type { Role } from '../maintenance/heartbeat.ts';
import { createKeyCalls } from '../keys/aws/key-calls.ts';
import { closeRedis, openRedis } from '../runtime/redis.ts';
import { openBucketSettings } from '../store/s3/bucket.ts';
import { createStore } from '../store/s3/s3-store.ts';
import { ResourceStack } from './resources.ts';

export interface DoctorOptions {
  readonly role?: Role;
  /** How long one check may take; 10 s. */
  readonly checkMs?: number;
  readonly clock?: Clock;
  /** Environment below the settings; the process's own by default. */
  readonly env?: Environment;
}

/** Runs all checks, whichever fail, and removes what they write. Settings take precedence over the environment. */
export async function* examineInstallation(
  settings?: Settings,
  { role = 'worker', checkMs, clock = systemClock, env }: DoctorOptions = {},
): AsyncGenerator<Finding> {
  const { values, problems: faults } = readSettings(settings, env);
  const stack = new ResourceStack();
  const { redisUrl } = values;
  // Checks run even if the settings of concurrency are invalid.
  const config = { concurrency: 1, uploadConcurrency: 1, ...values } as Config;
  const hasAws = values.region !== undefined && values.s3ForcePathStyle !== undefined;
  const closing = <T extends { close(): void }>(opened: T): T => stack.add(opened, (each) => each.close());
  try {
    yield* findings({
      values,
      faults,
      clock,
      role,
      checkMs,
      openRedis:
        redisUrl === undefined ? undefined : async () => stack.add(await openRedis({ redisUrl }, 'prompt'), closeRedis),
      openBucket:
        hasAws && values.bucket !== undefined
          ? () => ({ store: closing(createStore(config, 'patient')), settings: closing(openBucketSettings(config)) })
          : undefined,
      openKeys:
        values.region !== undefined && values.platformKeyArn !== undefined && values.platformFormerKeyArns !== undefined
          ? () => closing(createKeyCalls(config, noAudit))
          : undefined,
    });
  } finally {
    await stack.release();
  }
}
