// Fleet tasks: the maintenance tasks of workers, and the Redis identity that sweeps check.
import { repairBacklog } from '../queue/backlog/recount.ts';
import { createLetterTasks } from '../queue/dead-letters/maintenance.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { Reencryption } from '../reencryption/reencryption.ts';
import { redisKeys } from '../runtime/redis.ts';
import { ensureRedisIdentity } from '../maintenance/redis-identity.ts';
import { queueDepthsTask, type GateOfDepth } from '../maintenance/queue-depths.ts';
import { intakeRemovals } from '../maintenance/intake-removals.ts';
import { intakeSweep } from '../maintenance/intake-sweep.ts';
import { reencryptionResumeTask, type ResumeDeps } from '../maintenance/reencryption-resume.ts';
import type { SweepDeps } from '../maintenance/sweep.ts';
import { tombstoneSweep } from '../maintenance/tombstones.ts';
import { revisionFloor } from '../maintenance/revision-floor.ts';
import { whenClockIsRight } from '../maintenance/clock-check.ts';
import { startMaintenance, type MaintenanceTask, type MaintenanceLoop } from '../maintenance/scheduler.ts';
import { removeIntakeOfAnyForm } from '../store/intake.ts';
import type { Resources } from './resources.ts';

const REPAIR_EVERY_MS = 600_000;
/** The task limits its own rate; this is the maximum delay until wrong counters are found. */
const RECOUNT_EVERY_MS = 60_000;

/** Creates the Redis identity if it is missing, and starts the tasks. */
export async function startFleetTasks(
  { config, clock, log, metrics, redis, store, keyAccess }: Resources,
  queue: JobQueue,
  { restartStalled }: Pick<Reencryption, 'restartStalled'>,
): Promise<MaintenanceLoop> {
  const keys = redisKeys(config.queue);
  if (!(await ensureRedisIdentity({ redis, keys, store, queue: config.queue, clock })))
    log.error(
      { object: `system/${config.queue}/birth` },
      'Redis does not match the bucket. Sweeps are disabled. First check that REDIS_URL names the right server and database. If this Redis is new or was replaced, jobs of the previous one are missing. To add them again and enable sweeps: sealdex recover',
    );
  const gates = (): GateOfDepth[] =>
    keyAccess.gates.all().flatMap(({ record }) => (record && record.state !== 'open' ? [record] : []));
  const tasks = fleetTasks({ config, clock, log, metrics, redis, keys, store, restartStalled }, queue, gates);
  return startMaintenance({ tasks, redis, keys, clock, log });
}

/** All tasks; those that remove by age run only while this process's clock is right. */
export function fleetTasks(
  deps: SweepDeps & ResumeDeps,
  queue: JobQueue,
  gates: () => GateOfDepth[],
): MaintenanceTask[] {
  const { redis, keys, clock, store } = deps;
  const letters = createLetterTasks({ ...deps, removeContent: (place) => removeIntakeOfAnyForm(store, place) });
  return [
    whenClockIsRight(deps, intakeSweep(deps)),
    intakeRemovals(deps),
    revisionFloor(deps),
    whenClockIsRight(deps, tombstoneSweep(deps)),
    whenClockIsRight(deps, { name: 'old-letters', everyMs: REPAIR_EVERY_MS, run: letters.discardOld }),
    { name: 'letters', everyMs: REPAIR_EVERY_MS, run: letters.repairLetters },
    { name: 'backlog', everyMs: RECOUNT_EVERY_MS, run: async () => void (await repairBacklog(redis, keys)) },
    reencryptionResumeTask(deps),
    queueDepthsTask({ redis, keys, clock, queue, gates }),
  ];
}
