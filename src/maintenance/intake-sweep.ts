// The intake sweep: takes content whose job is gone, or names other content, once two sweeps a day apart have seen it so.
// Rather leaves a thousand objects than takes one that a job may need: in doubt it takes nothing and says so.
import { namedIntake } from '../queue/bull/named-intake.ts';
import { intakeName, intakePlaceOf, listIntake, removeIntake, type IntakePlace } from '../store/intake.ts';
import { isSince, type RedisIdentity } from './redis-identity.ts';
import {
  forgetSuspects,
  MOST_SUSPECTS,
  readSuspects,
  writeSuspects,
  type OrphanCandidates,
} from './orphan-candidates.ts';
import { birthOf, DAY_MS, type SweepDeps } from './sweep.ts';
import type { MaintenanceTask } from './scheduler.ts';

export const intakeSweep = (deps: SweepDeps): MaintenanceTask => ({
  name: 'intake-sweep',
  everyMs: DAY_MS,
  run: (signal) => sweep(deps, signal),
});

/** More than that in one sweep is no litter: something is wrong with the queue, or with us. */
const mostOf = (seen: number): number => Math.min(1000, Math.max(10, Math.floor(seen / 100)));

/** Interrupted anywhere, the next one starts anew: what was seen first and when is kept. */
async function sweep(deps: SweepDeps, signal: AbortSignal): Promise<void> {
  const { redis, keys, clock, log, metrics } = deps;
  const birth = await birthOf(deps, signal);
  if (!birth) return;
  const now = clock.now();
  const before = await readSuspects(redis, keys);
  const { seen, suspects } = await look(deps, birth, before, now, signal);
  await writeSuspects(redis, keys, before, suspects);
  const due = [...suspects].flatMap(([name, since]) => (since <= now - DAY_MS ? [name] : []));
  const facts = { seen, suspects: suspects.size, due: due.length, most: mostOf(seen) };
  if (due.length > facts.most) {
    metrics.count('sealdex_sweep_alarms_total', {});
    log.error(facts, 'intake sweep aborted: more orphaned objects than the safety limit');
    return;
  }
  // The listing may have taken hours, and Redis may have been replaced in them.
  if (due.length > 0 && !(await birthOf(deps, signal))) return;
  let taken = 0;
  for (const name of due) if (await take(deps, name, signal)) taken += 1;
  log.info({ ...facts, taken }, 'intake sweep finished');
}

/** Goes through all of intake once. Those seen before keep their first sighting. */
async function look(
  { config, store, redis, keys }: SweepDeps,
  birth: RedisIdentity,
  before: OrphanCandidates,
  now: number,
  signal: AbortSignal,
): Promise<{ seen: number; suspects: OrphanCandidates }> {
  const suspects = new Map<string, number>();
  let room = MOST_SUSPECTS - before.size;
  let seen = 0;
  let after: string | undefined;
  do {
    const page = await listIntake(store, after, signal);
    seen += page.found.length;
    const old = page.found.filter(
      ({ modifiedAt }) => modifiedAt < now - config.intakeSweepMs && isSince(birth, modifiedAt),
    );
    for (const place of await jobless({ redis, keys }, old, signal)) {
      const name = intakeName(place);
      const since = before.get(name);
      if (since === undefined && room-- <= 0) continue;
      suspects.set(name, since ?? now);
    }
    after = page.next;
  } while (after !== undefined);
  return { seen, suspects };
}

const LOOKS_AT_ONCE = 100;

const isJobless = (named: Awaited<ReturnType<typeof namedIntake>>[number] | undefined, intake: string): boolean =>
  named?.kind === 'gone' || (named?.kind === 'names' && named.intake !== intake);

/** Those that no job in the queue names. */
async function jobless<Place extends IntakePlace>(
  { redis, keys }: Pick<SweepDeps, 'redis' | 'keys'>,
  places: readonly Place[],
  signal: AbortSignal,
): Promise<Place[]> {
  const found: Place[] = [];
  for (let from = 0; from < places.length; from += LOOKS_AT_ONCE) {
    signal.throwIfAborted();
    const batch = places.slice(from, from + LOOKS_AT_ONCE);
    const jobs = batch.map(({ jobId }) => jobId);
    const named = await namedIntake(redis, keys, jobs);
    found.push(...batch.filter(({ intake }, at) => isJobless(named[at], intake)));
  }
  return found;
}

/** Removes it, unless a job has come to name it meanwhile. */
async function take(deps: SweepDeps, name: string, signal: AbortSignal): Promise<boolean> {
  const { store, redis, keys, metrics } = deps;
  const place = intakePlaceOf(name);
  const isStillDue = place !== undefined && (await jobless(deps, [place], signal)).length > 0;
  if (isStillDue) {
    await removeIntake(store, place, signal);
    metrics.count('sealdex_swept_objects_total', { type: 'intake' });
  }
  await forgetSuspects(redis, keys, [name]);
  return isStillDue;
}
