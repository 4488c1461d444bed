// Intake sweep: deletes content that no job names, after two sweeps a day apart have found it so.
// In doubt it deletes nothing and logs an error: leftover objects are harmless, and a job may need its content.
import { namedIntake } from '../queue/bull/named-intake.ts';
import { intakeName, intakePlaceOf, listIntake, removeIntake, type IntakePlace } from '../store/intake.ts';
import { isSince, type RedisIdentity } from './redis-identity.ts';
import {
  deleteCandidates,
  MAX_CANDIDATES,
  readCandidates,
  writeCandidates,
  type OrphanCandidates,
} from './orphan-candidates.ts';
import { redisIdentityOf, DAY_MS, type SweepDeps } from './sweep.ts';
import type { MaintenanceTask } from './scheduler.ts';

export const intakeSweep = (deps: SweepDeps): MaintenanceTask => ({
  name: 'intake-sweep',
  everyMs: DAY_MS,
  run: (signal) => sweep(deps, signal),
});

/** More orphans than this point to an error in the queue or in sealdex, so none is deleted. */
const maxRemovals = (seen: number): number => Math.min(1000, Math.max(10, Math.floor(seen / 100)));

/** May be interrupted at any point: the next run restarts, and the times of first sightings are kept. */
async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const { redis, keys, clock, log, metrics } = deps;
  const identity = await redisIdentityOf(deps, signal);
  if (!identity) return;
  const now = clock.now();
  const before = await readCandidates(redis, keys);
  const { seen, suspects } = await scan(deps, identity, before, now, signal);
  await writeCandidates(redis, keys, before, suspects);
  const due = [...suspects].flatMap(([name, since]) => (since <= now - DAY_MS ? [name] : []));
  const facts = { seen, suspects: suspects.size, due: due.length, most: maxRemovals(seen) };
  if (due.length > facts.most) {
    metrics.count('sealdex_sweep_alarms_total', {});
    log.error(facts, 'intake sweep aborted: more orphaned objects than the safety limit');
    return;
  }
  // The listing may have taken hours, and Redis may have been replaced since.
  if (due.length > 0 && !(await redisIdentityOf(deps, signal))) return;
  let taken = 0;
  for (const name of due) if (await removeOrphan(deps, name, signal)) taken += 1;
  log.info({ ...facts, taken }, 'intake sweep finished');
}

/** Lists all of intake once. Known candidates keep the time of their first sighting. */
async function scan(
  { config, store, redis, keys }: SweepDeps,
  identity: RedisIdentity,
  before: OrphanCandidates,
  now: number,
  signal: AbortSignal,
): Promise<{ seen: number; suspects: OrphanCandidates }> {
  const suspects = new Map<string, number>();
  let free = MAX_CANDIDATES - before.size;
  let seen = 0;
  let after: string | undefined;
  do {
    const page = await listIntake(store, after, signal);
    seen += page.found.length;
    const old = page.found.filter(
      ({ modifiedAt }) => modifiedAt < now - config.intakeSweepMs && isSince(identity, modifiedAt),
    );
    for (const place of await jobless({ redis, keys }, old, signal)) {
      const name = intakeName(place);
      const since = before.get(name);
      if (since === undefined && free-- <= 0) continue;
      suspects.set(name, since ?? now);
    }
    after = page.next;
  } while (after !== undefined);
  return { seen, suspects };
}

const BATCH = 100;

const isJobless = (named: Awaited<ReturnType<typeof namedIntake>>[number] | undefined, intake: string): boolean =>
  named?.kind === 'gone' || (named?.kind === 'names' && named.intake !== intake);

/** Returns the content that no job in a queue names. */
async function jobless<Place extends IntakePlace>(
  { redis, keys }: Pick<SweepDeps, 'redis' | 'keys'>,
  places: readonly Place[],
  signal: AbortSignal,
): Promise<Place[]> {
  const found: Place[] = [];
  for (let from = 0; from < places.length; from += BATCH) {
    signal.throwIfAborted();
    const batch = places.slice(from, from + BATCH);
    const jobs = batch.map(({ jobId }) => jobId);
    const named = await namedIntake(redis, keys, jobs);
    found.push(...batch.filter(({ intake }, at) => isJobless(named[at], intake)));
  }
  return found;
}

/** Removes the content unless a job names it now. */
async function removeOrphan(deps: SweepDeps, name: string, signal: AbortSignal): Promise<boolean> {
  const { store, redis, keys, metrics } = deps;
  const place = intakePlaceOf(name);
  const isStillDue = place !== undefined && (await jobless(deps, [place], signal)).length > 0;
  if (isStillDue) {
    await removeIntake(store, place, signal);
    metrics.count('sealdex_swept_objects_total', { type: 'intake' });
  }
  await deleteCandidates(redis, keys, [name]);
  return isStillDue;
}
