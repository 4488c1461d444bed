// Tombstone sweep: removes tombstones so old that no job from before the deletion can still run.
// Removal is conditional, so that a document written concurrently in their place survives.
import { runCommand } from '../runtime/redis.ts';
import { honorsConditionalRemoval } from '../store/system.ts';
import { listTombstones, removeTombstone } from '../store/tombstones.ts';
import { isSince } from './redis-identity.ts';
import { redisIdentityOf, DAY_MS, type SweepDeps } from './sweep.ts';
import type { MaintenanceTask } from './scheduler.ts';

export function tombstoneSweep(deps: SweepDeps): MaintenanceTask {
  let isLogged = false;
  return {
    name: 'tombstone-sweep',
    everyMs: DAY_MS,
    async run(signal) {
      if (await honorsConditionalRemoval(deps.store, deps.config.queue, signal)) return sweep(deps, signal);
      if (!isLogged) deps.log.warn({}, 'tombstone sweep disabled: the store ignores If-Match on DELETE');
      isLogged = true;
    },
  };
}

const CONCURRENCY = 8;

/** Sweeps page by page. The cursor is stored in Redis, so that another process continues from it. */
async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const { redis, keys, store, config, clock, log, metrics } = deps;
  const identity = await redisIdentityOf(deps, signal);
  if (!identity) return;
  // A job may be parked, become a dead letter and be replayed up to that age; then it may be parked again and wait for a day.
  const until = clock.now() - 2 * config.parkedMaxMs - config.letterMaxMs - DAY_MS;
  const cursor = keys.sweep('tombstones');
  let after = (await runCommand(redis.get(cursor))) ?? undefined;
  let taken = 0;
  do {
    const page = await listTombstones(store, after, signal);
    // Jobs that were lost with another Redis may be created again from S3, with older revisions than these tombstones.
    const old = page.maybe.filter(
      ({ modified }) => modified.getTime() < until && isSince(identity, modified.getTime()),
    );
    for (let from = 0; from < old.length; from += CONCURRENCY) {
      const batch = old.slice(from, from + CONCURRENCY);
      for (const isRemoved of await Promise.all(batch.map((listed) => removeTombstone(store, listed, signal)))) {
        if (!isRemoved) continue;
        taken += 1;
        metrics.count('sealdex_swept_objects_total', { type: 'tombstone' });
      }
    }
    after = page.next;
    if (after === undefined) await runCommand(redis.del(cursor));
    else await runCommand(redis.set(cursor, after));
  } while (after !== undefined);
  log.info({ taken }, 'tombstone sweep finished');
}
