// Maintenance scheduler: runs each due task in one process of the fleet at a time, under a lease. Redis stores when a task is due.
// A task may be aborted at any point, and must be safe to restart.
import { MAX_SKEW_MS, systemClock, withDeadline, type Clock, type Timer } from '../runtime/clock.ts';
import { takeLease, type Lease } from '../runtime/lease.ts';
import { faultOf } from '../runtime/fault.ts';
import { atMostEvery, type Log } from '../runtime/log.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';

export interface MaintenanceTask {
  readonly name: string;
  /** Time from the end of one run to the start of the next, in any process. Tasks start at ticks of 5 s. */
  readonly everyMs: number;
  /** Rejects with the signal's reason if the process stops or loses its lease; the task is then due again at once. */
  run(signal: AbortSignal): Promise<void>;
}

export interface MaintenanceDeps {
  readonly tasks: readonly MaintenanceTask[];
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly clock: Clock;
  readonly log: Log;
}

export interface MaintenanceLoop {
  /** Starts the due tasks that no process is running. Resolves when they have ended. */
  tick(): Promise<void>;
  /** Aborts the running tasks. May be called twice. */
  stop(): Promise<void>;
}

const TICK_MS = 5000;
const LEASE_MS = 60_000;
const RENEW_MS = 15_000;
/** A failed task is retried after this, or after its interval if that is shorter. */
const RETRY_DELAY_MS = 300_000;
const LOG_INTERVAL_MS = 600_000;
const STOP_MS = 400;

export function startMaintenance(deps: MaintenanceDeps): MaintenanceLoop {
  const { tasks, clock, log } = deps;
  const stopping = new AbortController();
  const running = new Map<string, Promise<void>>();
  const logRarely = atMostEvery(() => clock.monotonic(), LOG_INTERVAL_MS);
  let timer: Timer | undefined;

  const begin = (task: MaintenanceTask): Promise<void> => {
    const work = runUnderLease(deps, task, stopping.signal)
      .catch((error: unknown) => {
        if (stopping.signal.aborted) return;
        logRarely(task.name, () => log.warn({ ...faultOf(error), task: task.name }, 'maintenance task failed'));
      })
      .finally(() => running.delete(task.name));
    running.set(task.name, work);
    return work;
  };
  const tick = async (): Promise<void> => {
    const idle = tasks.filter(({ name }) => !running.has(name));
    const due = await dueOf(deps, idle);
    if (stopping.signal.aborted) return;
    await Promise.all(due.filter(({ name }) => !running.has(name)).map(begin));
  };
  // The next tick does not wait for the tasks of this one: a task may run for hours.
  const loop = (): void => {
    timer = clock.after(TICK_MS, loop);
    tick().catch((error: unknown) => {
      if (!stopping.signal.aborted) logRarely('', () => log.warn(faultOf(error), 'could not read task schedule'));
    });
  };
  timer = clock.after(TICK_MS, loop);

  const stop = async (): Promise<void> => {
    timer?.cancel();
    stopping.abort(new Error('upkeep stops'));
    // An unresponsive service must not delay the stop; the lease expires.
    await withDeadline(systemClock, STOP_MS, Promise.all(running.values()), () => new Error('late')).catch(() => {});
  };
  let stopped: Promise<void> | undefined;
  return { tick, stop: () => (stopped ??= stop()) };
}

type Deps = Pick<MaintenanceDeps, 'redis' | 'keys' | 'clock'>;

/** A task without a stored time, as in a new Redis, is due after a full interval. */
async function dueOf({ redis, keys, clock }: Deps, tasks: readonly MaintenanceTask[]): Promise<MaintenanceTask[]> {
  if (tasks.length === 0) return [];
  const times = await runCommand(redis.hmget(keys.chores, ...tasks.map(({ name }) => name)));
  const now = clock.now();
  const due: MaintenanceTask[] = [];
  for (const [index, task] of tasks.entries()) {
    const at = times[index];
    if (at === null || at === undefined)
      await runCommand(redis.hsetnx(keys.chores, task.name, String(now + task.everyMs)));
    // A time beyond the interval was written by a wrong clock, or for a longer interval.
    else if (!(Number(at) > now && Number(at) <= now + task.everyMs + MAX_SKEW_MS)) due.push(task);
  }
  return due;
}

async function runUnderLease(deps: Deps, task: MaintenanceTask, stopping: AbortSignal): Promise<void> {
  const { redis, keys, clock } = deps;
  const lease = await takeLease(redis, keys.lease(`upkeep:${task.name}`), LEASE_MS);
  if (!lease) return;
  const lost = new AbortController();
  const keeping = keep(lease, clock, () => lost.abort(new Error('the lease is lost')));
  const signal = AbortSignal.any([stopping, lost.signal]);
  const isDueIn = (ms: number): Promise<number> =>
    runCommand(redis.hset(keys.chores, task.name, String(clock.now() + ms)));
  try {
    // Another process may have run it before this one took the lease.
    if ((await dueOf(deps, [task])).length === 0) return;
    signal.throwIfAborted();
    await task.run(signal);
    if (!lost.signal.aborted) await isDueIn(task.everyMs);
  } catch (error) {
    if (!signal.aborted) await isDueIn(Math.min(RETRY_DELAY_MS, task.everyMs)).catch(() => {});
    throw error;
  } finally {
    keeping.cancel();
    await lease.free().catch(() => {});
  }
}

/** Renews the lease until canceled. Calls `onLost` if another process has it, or if Redis has not responded for LEASE_MS. */
function keep(lease: Lease, clock: Clock, onLost: () => void): Timer {
  let keptAt = clock.monotonic();
  let timer: Timer;
  let isOver = false;
  const renew = async (): Promise<void> => {
    const sentAt = clock.monotonic();
    const isKept = await lease.renew(LEASE_MS).catch(() => undefined);
    if (isOver) return;
    if (isKept) keptAt = sentAt;
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
