// Upkeep: chores that the fleet does once for all. Each is done by one process at a time under a lease, when it is due by
// what Redis says. What a chore does is its own file's business; it must bear being ended and begun anew anywhere.
import { MAX_SKEW_MS, systemClock, withDeadline, type Clock, type Timer } from '../runtime/clock.ts';
import { takeLease, type Lease } from '../runtime/lease.ts';
import { faultOf } from '../runtime/fault.ts';
import { atMostEvery, type Log } from '../runtime/log.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';

export interface MaintenanceTask {
  readonly name: string;
  /** From the end of one run to the begin of the next, whichever process does it. A multiple of some seconds. */
  readonly everyMs: number;
  /** Ends early, with the signal's reason, when the process stops or has lost its lease; it is due again at once then. */
  run(signal: AbortSignal): Promise<void>;
}

export interface UpkeepDeps {
  readonly chores: readonly MaintenanceTask[];
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MaintenanceLoop {
  /** Begins what is due and not begun by anybody. Resolves when what it began has ended. */
  tick(): Promise<void>;
  /** Ends the chores at work. May be called twice. */
  stop(): Promise<void>;
}

const TICK_MS = 5000;
const LEASE_MS = 60_000;
const RENEW_MS = 15_000;
/** A chore that failed is tried again after this, or its interval if that is shorter. */
const RETRY_DELAY_MS = 300_000;
const LOG_INTERVAL_MS = 600_000;
const STOP_MS = 400;

export function startMaintenance(deps: UpkeepDeps): MaintenanceLoop {
  const { chores, clock, log } = deps;
  const stopping = new AbortController();
  const atWork = new Map<string, Promise<void>>();
  const sayRarely = atMostEvery(() => clock.monotonic(), LOG_INTERVAL_MS);
  let timer: Timer | undefined;

  const begin = (chore: MaintenanceTask): Promise<void> => {
    const work = doUnderLease(deps, chore, stopping.signal)
      .catch((error: unknown) => {
        if (stopping.signal.aborted) return;
        sayRarely(chore.name, () => log.warn({ ...faultOf(error), task: chore.name }, 'maintenance task failed'));
      })
      .finally(() => atWork.delete(chore.name));
    atWork.set(chore.name, work);
    return work;
  };
  const tick = async (): Promise<void> => {
    const idle = chores.filter(({ name }) => !atWork.has(name));
    const due = await dueOf(deps, idle);
    if (stopping.signal.aborted) return;
    await Promise.all(due.filter(({ name }) => !atWork.has(name)).map(begin));
  };
  // A chore of hours must not keep the others waiting: the next tick does not wait for this one's.
  const loop = (): void => {
    timer = clock.after(TICK_MS, loop);
    tick().catch((error: unknown) => {
      if (!stopping.signal.aborted) sayRarely('', () => log.warn(faultOf(error), 'could not read task schedule'));
    });
  };
  timer = clock.after(TICK_MS, loop);

  const stop = async (): Promise<void> => {
    timer?.cancel();
    stopping.abort(new Error('upkeep stops'));
    // A service that does not answer holds no stop up: the lease runs out by itself.
    await withDeadline(systemClock, STOP_MS, Promise.all(atWork.values()), () => new Error('late')).catch(() => {});
  };
  let stopped: Promise<void> | undefined;
  return { tick, stop: () => (stopped ??= stop()) };
}

type Deps = Pick<UpkeepDeps, 'redis' | 'keys' | 'clock'>;

/** A chore whose time nobody knows, in a new Redis for one, is due after a whole interval. */
async function dueOf({ redis, keys, clock }: Deps, chores: readonly MaintenanceTask[]): Promise<MaintenanceTask[]> {
  if (chores.length === 0) return [];
  const times = await runCommand(redis.hmget(keys.chores, ...chores.map(({ name }) => name)));
  const now = clock.now();
  const due: MaintenanceTask[] = [];
  for (const [index, chore] of chores.entries()) {
    const at = times[index];
    if (at === null || at === undefined)
      await runCommand(redis.hsetnx(keys.chores, chore.name, String(now + chore.everyMs)));
    // A time further away than the interval was written by a clock that was wrong, or for a longer interval.
    else if (!(Number(at) > now && Number(at) <= now + chore.everyMs + MAX_SKEW_MS)) due.push(chore);
  }
  return due;
}

async function doUnderLease(deps: Deps, chore: MaintenanceTask, stopping: AbortSignal): Promise<void> {
  const { redis, keys, clock } = deps;
  const lease = await takeLease(redis, keys.lease(`upkeep:${chore.name}`), LEASE_MS);
  if (!lease) return;
  const lost = new AbortController();
  const keeping = keep(lease, clock, () => lost.abort(new Error('the lease is lost')));
  const signal = AbortSignal.any([stopping, lost.signal]);
  const isDueIn = (ms: number): Promise<number> =>
    runCommand(redis.hset(keys.chores, chore.name, String(clock.now() + ms)));
  try {
    // Another process may have done it between our look and our lease.
    if ((await dueOf(deps, [chore])).length === 0) return;
    signal.throwIfAborted();
    await chore.run(signal);
    if (!lost.signal.aborted) await isDueIn(chore.everyMs);
  } catch (error) {
    if (!signal.aborted) await isDueIn(Math.min(RETRY_DELAY_MS, chore.everyMs)).catch(() => {});
    throw error;
  } finally {
    keeping.cancel();
    await lease.free().catch(() => {});
  }
}

/** Renews the lease until it is cancelled. Calls `onLost` when another has it, or nobody could be asked for too long. */
function keep(lease: Lease, clock: Clock, onLost: () => void): Timer {
  let keptAt = clock.monotonic();
  let timer: Timer;
  let isOver = false;
  const renew = async (): Promise<void> => {
    const askedAt = clock.monotonic();
    const isKept = await lease.renew(LEASE_MS).catch(() => undefined);
    if (isOver) return;
    if (isKept) keptAt = askedAt;
    if (isKept === false || clock.monotonic() - keptAt >= LEASE_MS) return onLost();
    timer = clock.after(RENEW_MS, () => void renew());
  };
  timer = clock.after(RENEW_MS, () => void renew());
  return {
    cancel() {
      isOver = true;
      timer.cancel();
    },
  };
}
