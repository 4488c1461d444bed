// Reservations: a revision, a priority and a place in the tenant's backlog, given to a job before its content is encrypted.
// Idempotency records (markers): the revision of the job of an idempotency key.
// Each is one script, so two producers never get the same revision, and never add two jobs for one key.
import type { Clock } from '../../runtime/clock.ts';
import { isCode, SealdexError, type Code } from '../../runtime/errors.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { QueueKeys, Redis, RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG, type ReservationRequest } from '../backlog/backlog.ts';
import { NEXT_REVISION, withCounter, type CounterDeps } from './revision-counter.ts';
import { FAIR_KEYS, FAIR_SHARE, fairKeys } from './fair-share.ts';
import { isEnd, knownCode, type EndState } from '../bull/status-notes.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** Limits of one tenant, over waiting, parked and dead jobs. */
interface BacklogLimits {
  readonly tenantBacklogJobs: number;
  readonly tenantBacklogBytes: number;
}

export interface ReservationDeps extends CounterDeps {
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly limits: BacklogLimits;
}

export interface Reservation {
  readonly revision: number;
  readonly priority: number;
}

/** An estimate: a full backlog may empty within seconds, or only after a KMS key is enabled again. */
const BACKLOG_RETRY_MS = 60_000;

/** `now` is the producer's clock in milliseconds; the limits are those of BacklogLimits. */
const RESERVE_ARGS = ['now', 'maxJobs', 'maxBytes'] as const;

/** `joins(...)`: counts a job of the tenant, if the limits allow it. A tenant without jobs may always add one, however large. */
const RESERVE_LUA = `${FAIR_SHARE}${BACKLOG}${NEXT_REVISION}
  local function joins(tenant, size)
    local jobs = number_of(field_of(backlogJobs, tenant))
    local bytes = number_of(field_of(backlogBytes, tenant))
    if jobs > 0 and (jobs >= tonumber(maxJobs) or bytes + size > tonumber(maxBytes)) then return false end
    backlog_join(backlogJobs, backlogBytes, tenant, size)
    return true
  end`;

/** Returns the first revision and the priority of each request, 0 if the backlog is full; or a code. */
const RESERVE = script({
  name: 'reserve',
  keys: [...FAIR_KEYS, 'lastRevision'],
  args: [...RESERVE_ARGS, '...requests'],
  lua: `${RESERVE_LUA}
  local first, refusal = next_revision()
  if not first then return refusal end
  local fair = fair_open(prioritized, fairClock, fairTenants)
  local result = { first }
  local reserved = 0
  for at = 1, #requests, 2 do
    local priority = 0
    if joins(requests[at], tonumber(requests[at + 1])) then
      priority = fair_take(fair, requests[at])
      reserved = reserved + 1
    end
    result[#result + 1] = priority
  end
  if reserved == 0 then return result end
  fair_close(fair)
  redis.call('SET', lastRevision, string.format('%.0f', first + reserved - 1))
  return result`,
});

/**
 * Returns { revision, 0 made now | 1 unconfirmed | 2 confirmed, state, code, priority, fingerprint } of the marker, and makes it
 * if there is none. Returns a code if it must not be made: a repeated request would continue with its revision.
 * If the job may still have to be added, it gets a priority and is counted unless it already is. The producer that made the
 * marker may have died, or was rejected and gave its count back.
 */
const MARK = script({
  name: 'mark',
  keys: [...FAIR_KEYS, 'lastRevision', 'markerKey', 'entry'],
  args: [...RESERVE_ARGS, 'lifeMs', 'tenant', 'bytes'],
  lua: `${RESERVE_LUA}
  local marker = redis.call('HMGET', markerKey, 'revision', 'confirmed', 'state', 'code', 'counted', 'fingerprint')
  if marker[1] and (marker[2] or marker[3]) then
    return { tonumber(marker[1]), marker[2] and 2 or 1, marker[3] or '', marker[4] or '', 0, marker[6] or '' }
  end
  local revision, refusal = tonumber(marker[1]), nil
  if not revision then revision, refusal = next_revision() end
  if not revision then return refusal end
  local is_counted = marker[5] or redis.call('EXISTS', entry) == 1
  if not is_counted and not joins(tenant, tonumber(bytes)) then return 'TENANT_BACKLOG_FULL' end
  local fair = fair_open(prioritized, fairClock, fairTenants)
  local priority = fair_take(fair, tenant)
  fair_close(fair)
  redis.call('HSET', markerKey, 'counted', '1')
  if marker[1] then return { revision, 1, '', '', priority, marker[6] or '' } end
  redis.call('SET', lastRevision, string.format('%.0f', revision))
  redis.call('HSET', markerKey, 'revision', string.format('%.0f', revision))
  redis.call('PEXPIRE', markerKey, lifeMs)
  return { revision, 0, '', '', priority, '' }`,
});

/** Returns 1 if this call confirmed the marker, 0 if it was confirmed before or does not exist. */
const CONFIRM = script({
  name: 'confirm',
  keys: ['marker'],
  lua: `if redis.call('EXISTS', marker) == 0 then return 0 end return redis.call('HSETNX', marker, 'confirmed', '1')`,
});

/**
 * Returns the marker's fingerprint, after writing this one if it has none. A job in the queue without one was added by an
 * older producer, or its first marker has expired: its fingerprint stays unknown.
 */
const CLAIM = script({
  name: 'claim',
  keys: ['marker', 'entry'],
  args: ['fingerprint'],
  lua: `
  if redis.call('EXISTS', marker) == 1 and redis.call('EXISTS', entry) == 0 then
    redis.call('HSETNX', marker, 'fingerprint', fingerprint)
  end
  return redis.call('HGET', marker, 'fingerprint')`,
});

export interface Marker extends Reservation {
  /** `unconfirmed`: the marker exists, but its job may not be in the queue (yet). */
  readonly kind: 'made' | 'unconfirmed' | 'confirmed';
  /** Final state of the job, if it has ended; `unknown` for a state of another version. */
  readonly state?: EndState | 'unknown';
  readonly code?: Code;
  /** Fingerprint of the request whose job was added or is about to be; older producers write none. */
  readonly fingerprint?: string;
}

/**
 * Returns a reservation for each request, or `TENANT_BACKLOG_FULL` with `retryAfterMs`; the revisions are consecutive.
 * @throws SealdexError `CLOCK_SKEW`
 */
export async function reserve(
  deps: ReservationDeps,
  requests: readonly Omit<ReservationRequest, 'queue'>[],
): Promise<(Reservation | SealdexError)[]> {
  const { redis, keys, clock, limits } = deps;
  if (requests.length === 0) return [];
  const input = {
    ...fairKeys(keys),
    lastRevision: keys.revision,
    now: clock.now(),
    maxJobs: limits.tenantBacklogJobs,
    maxBytes: limits.tenantBacklogBytes,
    requests: requests.flatMap(({ tenant, bytes }) => [tenant, bytes]),
  };
  const result = await withCounter(deps, () => runScript(redis, RESERVE, input));
  if (!Array.isArray(result)) throw refusal(result);
  const [first, ...priorities] = result as [number, ...number[]];
  let revision = first;
  return priorities.map((priority) =>
    priority === 0 ? refusal('TENANT_BACKLOG_FULL') : { revision: revision++, priority },
  );
}

/**
 * Finds or makes the marker of an idempotency key, which expires `lifeMs` after it was made.
 * @throws SealdexError `CLOCK_SKEW`, `TENANT_BACKLOG_FULL` with `retryAfterMs`
 */
export async function mark(
  deps: ReservationDeps,
  jobId: string,
  lifeMs: number,
  { tenant, bytes }: Omit<ReservationRequest, 'queue'>,
): Promise<Marker> {
  const { redis, keys, clock, limits } = deps;
  const input = {
    ...fairKeys(keys),
    lastRevision: keys.revision,
    markerKey: keys.marker(jobId),
    entry: queueKey(keys, jobId),
    now: clock.now(),
    maxJobs: limits.tenantBacklogJobs,
    maxBytes: limits.tenantBacklogBytes,
    lifeMs,
    tenant,
    bytes,
  };
  const found = await withCounter(deps, () => runScript(redis, MARK, input));
  if (!Array.isArray(found)) throw refusal(found);
  const [revision, kind, state, code, priority, fingerprint] = found as [
    number,
    number,
    string,
    string,
    number,
    string,
  ];
  return {
    revision,
    priority,
    kind: kind === 0 ? 'made' : kind === 1 ? 'unconfirmed' : 'confirmed',
    ...(state === '' ? {} : { state: isEnd(state) ? state : 'unknown' }),
    ...knownCode(code),
    ...(fingerprint === '' ? {} : { fingerprint }),
  };
}

function refusal(result: unknown): SealdexError {
  if (result === 'TENANT_BACKLOG_FULL') {
    return new SealdexError(result, undefined, { retryAfterMs: BACKLOG_RETRY_MS });
  }
  return new SealdexError(typeof result === 'string' && isCode(result) ? result : 'INTERNAL');
}

/** Marks the job as being in the queue. Returns whether this call was the first. */
export const confirm = async (redis: Redis, keys: RedisKeys, jobId: string): Promise<boolean> =>
  (await runScript(redis, CONFIRM, { marker: keys.marker(jobId) })) === 1;

/**
 * Assigns the marker to the request whose job is about to be added, unless it belongs to another request.
 * Returns the fingerprint of the marker; undefined if it is unknown, or the marker does not exist.
 */
export async function claim(
  redis: Redis,
  keys: QueueKeys,
  jobId: string,
  fingerprint: string,
): Promise<string | undefined> {
  const claimed = await runScript(redis, CLAIM, {
    marker: keys.marker(jobId),
    entry: queueKey(keys, jobId),
    fingerprint,
  });
  return typeof claimed === 'string' ? claimed : undefined;
}
