// The tombstone sweep: takes the traces of deletions that are so old that no job from before them can still come.
// A document that is written in their place meanwhile survives: it removes on condition, or not at all.
import { runCommand } from '../runtime/redis.ts';
import { honoursConditionalRemoval } from '../store/system.ts';
import { listTombstones, removeTombstone } from '../store/tombstones.ts';
import { isSince } from './redis-identity.ts';
import { birthOf, DAY_MS, type SweepDeps } from './sweep.ts';
import type { MaintenanceTask } from './scheduler.ts';

export function tombstoneSweep(deps: SweepDeps): MaintenanceTask {
  let isTold = false;
  return {
    name: 'tombstone-sweep',
    everyMs: DAY_MS,
    async run(signal) {
      if (await honoursConditionalRemoval(deps.store, deps.config.queue, signal)) return sweep(deps, signal);
      if (!isTold) deps.log.warn({}, 'tombstone sweep disabled: the store ignores If-Match on DELETE');
      isTold = true;
    },
  };
}

const REMOVED_AT_ONCE = 8;

/** A page at a time. How far it has come is kept in Redis, so that another process goes on from there. */
async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const { redis, keys, store, config, clock, log, metrics } = deps;
  const birth = await birthOf(deps, signal);
  if (!birth) return;
  // A job may be parked, be a dead letter, and be replayed up to that age; then it may be parked once more and wait a day.
  const until = clock.now() - 2 * config.parkedMaxMs - config.letterMaxMs - DAY_MS;
  const cursor = keys.sweep('tombstones');
  let after = (await runCommand(redis.get(cursor))) ?? undefined;
  let taken = 0;
  do {
    const page = await listTombstones(store, after, signal);
    // Jobs that were lost with another Redis may be made anew from what is in S3, and be older than these.
    const old = page.maybe.filter(({ modified }) => modified.getTime() < until && isSince(birth, modified.getTime()));
    for (let from = 0; from < old.length; from += REMOVED_AT_ONCE) {
      const batch = old.slice(from, from + REMOVED_AT_ONCE);
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
