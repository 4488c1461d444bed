// Revision floor: keeps the last revision in S3, so that a Redis that replaces this one assigns higher ones.
import { raiseRevision } from '../queue/fair-share/revision-counter.ts';
import { runCommand } from '../runtime/redis.ts';
import { readFloor, writeFloor } from '../store/revision-floor.ts';
import type { MaintenanceTask } from './scheduler.ts';
import type { SweepDeps } from './sweep.ts';

const EVERY_MS = 10_000;
/** S3 gives its time in whole seconds. */
const SAME_LEAD_MS = 1500;

type Deps = Pick<SweepDeps, 'config' | 'clock' | 'redis' | 'keys' | 'store'>;

export const revisionFloor = (deps: Deps): MaintenanceTask => ({
  name: 'revision-floor',
  everyMs: EVERY_MS,
  run: (signal) => keepFloor(deps, signal),
});

async function keepFloor({ config, clock, redis, keys, store }: Deps, signal: AbortSignal): Promise<void> {
  const { floor, storeNow } = await readFloor(store, config.queue, clock, signal);
  const [seconds, micros] = await runCommand(redis.time());
  const revision = Number(await runCommand(redis.get(keys.revision)));
  // A new Redis gets its counter from the floor with the first reservation.
  if (!Number.isSafeInteger(revision) || revision <= 0) return;
  // A Redis that lost its last writes assigns revisions again.
  if (floor && floor.revision > revision) {
    const reader = (): ReturnType<typeof readFloor> => readFloor(store, config.queue, clock);
    return raiseRevision({ redis, keys, readFloor: reader }, floor.revision);
  }
  const leadMs = Math.round(Number(seconds) * 1000 + Number(micros) / 1000 - storeNow);
  const isSame = floor?.revision === revision && Math.abs(floor.leadMs - leadMs) < SAME_LEAD_MS;
  if (!isSame) await writeFloor(store, config.queue, { revision, leadMs }, signal);
}
