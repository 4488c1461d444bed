// Intake sweep: deletes content that no job names, after two sweeps a day apart have found it so.
// Content of another installation in the bucket is never touched. In doubt it deletes nothing and logs an error: leftover objects
// are harmless, and a job may need its content.
import { namedIntake, type NamedIntake } from '../queue/bull/named-intake.ts';
import { deleteRemovals } from '../queue/bull/intake-removals.ts';
import { isNewPlace } from '../runtime/intake-key.ts';
import { listIntake, removeListedIntake, type ListedIntake } from '../store/intake.ts';
import { isSoleQueue } from '../store/system.ts';
import { acceptNamed, hasHalved } from './named-jobs.ts';
import { deleteCandidates, MAX_CANDIDATES, readCandidates, writeCandidates } from './orphan-candidates.ts';
import { isSince, type RedisIdentity } from './redis-identity.ts';
import type { MaintenanceTask } from './scheduler.ts';
import { redisIdentityOf, DAY_MS, type SweepDeps } from './sweep.ts';

export const intakeSweep = (deps: SweepDeps): MaintenanceTask => ({
  name: 'intake-sweep',
  everyMs: DAY_MS,
  run: async (signal) => void (await sweepIntake(deps, {}, signal)),
});

/** Content that no job names. */
export interface Orphan extends ListedIntake {
  /** Time of the sweep that first found it so: wall clock, milliseconds. It may be deleted a day later. */
  readonly since: number;
}

export interface IntakeSweepOptions {
  /** Number of objects to delete at most, instead of the safety limit; also allows a number of jobs that has halved. */
  readonly take?: number | undefined;
  /** Delete nothing and store no finding. */
  readonly isDry?: boolean;
}

export interface IntakeSwept {
  /** Number of objects seen. */
  readonly seen: number;
  /** Content that no job names, oldest first. */
  readonly orphans: readonly Orphan[];
  /** Number of orphans that two sweeps a day apart have found. */
  readonly due: number;
  readonly taken: number;
}

/** More orphans than this point to an error in the queue or in sealdex. The oldest are deleted, and the others on later days. */
const maxRemovals = (seen: number): number => Math.max(1000, Math.floor(seen / 20));

/**
 * May be interrupted at any point: the next run restarts, and the times of first sightings are kept.
 * @returns undefined if Redis may not be the one of the bucket
 */
export async function sweepIntake(
  deps: SweepDeps,
  { take, isDry = false }: IntakeSweepOptions,
  signal: AbortSignal,
): Promise<IntakeSwept | undefined> {
  const { redis, keys, clock, log, metrics } = deps;
  const identity = await redisIdentityOf(deps, signal);
  if (!identity) return undefined;
  const now = clock.now();
  const { seen, named, orphans } = await scan(deps, identity, now, signal, isDry);
  const due = orphans.filter(({ since }) => since <= now - DAY_MS);
  const found = { seen, orphans, due: due.length };
  if (isDry) return { ...found, taken: 0 };
  const facts = { seen, named, suspects: orphans.length, due: due.length, most: take ?? maxRemovals(seen) };
  const alarm = (message: string): void => {
    metrics.count('sealdex_sweep_alarms_total', {});
    log.error(facts, message);
  };
  if (take !== undefined) await acceptNamed(redis, keys, named, now);
  if ((await hasHalved(redis, keys, named, now)) && due.length > 0) {
    alarm('intake sweep aborted: the number of jobs with content has more than halved');
    return { ...found, taken: 0 };
  }
  if (take === undefined && due.length > facts.most)
    alarm('intake sweep found more orphaned objects than the safety limit');
  // The listing may have taken hours, and Redis may have been replaced since.
  if (due.length > 0 && !(await redisIdentityOf(deps, signal))) return undefined;
  let taken = 0;
  for (const orphan of due.slice(0, facts.most)) if (await removeOrphan(deps, orphan, signal)) taken += 1;
  log.info({ ...facts, taken }, 'intake sweep finished');
  return { ...found, taken };
}

/** Lists all of intake once, and stores the orphans unless `isDry`. Known ones keep the time of their first sighting. */
async function scan(
  { config, store, redis, keys }: SweepDeps,
  identity: RedisIdentity,
  now: number,
  signal: AbortSignal,
  isDry: boolean,
): Promise<{ seen: number; named: number; orphans: Orphan[] }> {
  const before = await readCandidates(redis, keys);
  // An old key does not name its installation: its job may be in another Redis.
  const takesOldKeys = await isSoleQueue(store, config.queue, signal);
  const orphans: Orphan[] = [];
  let free = MAX_CANDIDATES - before.size;
  const count = { seen: 0, named: 0 };
  let after: string | undefined;
  do {
    const page = await listIntake(store, { after, signal });
    const own = page.found.filter(({ place }) => (isNewPlace(place) ? place.queue === config.queue : takesOldKeys));
    const jobless = await joblessOf({ redis, keys }, own, signal);
    count.seen += own.length;
    count.named += own.length - jobless.length;
    for (const listed of jobless) {
      if (listed.modifiedAt >= now - config.intakeSweepMs || !isSince(identity, listed.modifiedAt)) continue;
      const since = before.get(listed.name);
      if (since === undefined && free-- <= 0) continue;
      orphans.push({ ...listed, since: since ?? now });
    }
    after = page.next;
  } while (after !== undefined);
  if (!isDry) await writeCandidates(redis, keys, before, new Map(orphans.map(({ name, since }) => [name, since])));
  return { ...count, orphans: orphans.toSorted((one, other) => one.modifiedAt - other.modifiedAt) };
}

const BATCH = 100;

const isJobless = (named: NamedIntake | undefined, intake: string): boolean =>
  named?.kind === 'gone' || (named?.kind === 'names' && named.intake !== intake);

/** Returns the content that no job in a queue names. */
async function joblessOf<Listed extends ListedIntake>(
  { redis, keys }: Pick<SweepDeps, 'redis' | 'keys'>,
  listed: readonly Listed[],
  signal: AbortSignal,
): Promise<Listed[]> {
  const found: Listed[] = [];
  for (let from = 0; from < listed.length; from += BATCH) {
    signal.throwIfAborted();
    const batch = listed.slice(from, from + BATCH);
    const jobs = batch.map(({ place }) => place.jobId);
    const named = await namedIntake(redis, keys, jobs);
    found.push(...batch.filter(({ place }, at) => isJobless(named[at], place.intake)));
  }
  return found;
}

/** Removes the content unless a job names it now. */
async function removeOrphan(deps: SweepDeps, orphan: Orphan, signal: AbortSignal): Promise<boolean> {
  const { store, redis, keys, metrics } = deps;
  const isStillDue = (await joblessOf(deps, [orphan], signal)).length > 0;
  if (isStillDue) {
    await removeListedIntake(store, orphan.name, signal);
    metrics.count('sealdex_swept_objects_total', { type: 'intake' });
  }
  await deleteCandidates(redis, keys, [orphan.name]);
  await deleteRemovals(redis, keys, [orphan.name]);
  return isStillDue;
}
