// Removal of pending content: deletes from S3 what ended jobs have left, until each delete has succeeded.
import { namedIntake, type NamedIntake } from '../queue/bull/named-intake.ts';
import { deleteRemovals, dueRemovals, postponeRemovals } from '../queue/bull/intake-removals.ts';
import { intakePlaceOf, isNewPlace } from '../runtime/intake-key.ts';
import { removeIntakeOfAnyForm } from '../store/intake.ts';
import type { MaintenanceTask } from './scheduler.ts';
import type { SweepDeps } from './sweep.ts';

const EVERY_MS = 60_000;
const PAGE = 1000;
const BATCH = 50;

type Deps = Pick<SweepDeps, 'redis' | 'keys' | 'store'>;

export const intakeRemovals = (deps: Deps): MaintenanceTask => ({
  name: 'intake-removals',
  everyMs: EVERY_MS,
  run: (signal) => removeDue(deps, signal),
});

/** @throws the error of the first failed removal, after the page: an outage ends the run, and all is due again in a minute */
async function removeDue({ redis, keys, store }: Deps, signal: AbortSignal): Promise<void> {
  for (;;) {
    const page = await dueRemovals(redis, keys, PAGE);
    let failure: unknown;
    for (let from = 0; from < page.length; from += BATCH) {
      signal.throwIfAborted();
      const { jobless, named } = await sortNames({ redis, keys }, page.slice(from, from + BATCH));
      await postponeRemovals(redis, keys, named, 'named');
      const results = await Promise.allSettled(jobless.map((name) => remove(store, name, signal)));
      const isFailed = (at: number): boolean => results[at]?.status === 'rejected';
      await deleteRemovals(
        redis,
        keys,
        jobless.filter((_, at) => !isFailed(at)),
      );
      await postponeRemovals(
        redis,
        keys,
        jobless.filter((_, at) => isFailed(at)),
        'failed',
      );
      failure ??= results.find((result) => result.status === 'rejected')?.reason;
    }
    if (failure) throw failure;
    if (page.length < PAGE) return;
  }
}

/** An entry that cannot be read may name any content. */
const mayName = (entry: NamedIntake | undefined, name: string): boolean =>
  entry?.kind === 'unreadable' || (entry?.kind === 'names' && name.endsWith(`/${entry.intake}`));

async function sortNames(
  { redis, keys }: Pick<Deps, 'redis' | 'keys'>,
  names: readonly string[],
): Promise<{ jobless: string[]; named: string[] }> {
  const entries = await namedIntake(
    redis,
    keys,
    names.map((name) => intakePlaceOf(name)?.jobId ?? ''),
  );
  const [named = [], jobless = []] = [true, false].map((isNamed) =>
    names.filter((name, at) => mayName(entries[at], name) === isNamed),
  );
  return { jobless, named };
}

async function remove(store: Deps['store'], name: string, signal: AbortSignal): Promise<void> {
  const place = intakePlaceOf(name);
  if (place && isNewPlace(place)) await removeIntakeOfAnyForm(store, place, signal);
}
