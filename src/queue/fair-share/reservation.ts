// Stamps: what a job gets before its content is encrypted: a revision, a priority and a place in its tenant's backlog, in one
// script. Markers remember an idempotency key and the revision that its job got.
// Redis decides both in one script each, so two producers never get the same revision or make two jobs of one key.
import { MAX_SKEW_MS, type Clock } from '../../runtime/clock.ts';
import { isCode, SealdexError, type Code } from '../../runtime/errors.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { QueueKeys, Redis, RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG, type ReservationRequest } from '../backlog/backlog.ts';
import { FAIR_KEYS, FAIR_SHARE, fairKeys } from './fair-share.ts';
import { isEnd, knownCode, type EndState } from '../bull/status-notes.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** Of one tenant: waiting, parked and dead jobs. */
interface BacklogLimits {
  readonly tenantBacklogJobs: number;
  readonly tenantBacklogBytes: number;
}

/** Where stamps come from. */
export interface Stamping {
  readonly redis: Redis;
  /** Those of the queue that the jobs go into. */
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly limits: BacklogLimits;
}

export interface Reservation {
  readonly revision: number;
  readonly priority: number;
}

/** A guess: a full backlog may empty within seconds, or when a KMS key is enabled again. */
const BACKLOG_RETRY_MS = 60_000;

/** `now` is the producer's own clock in milliseconds; the limits are those of BacklogLimits. */
const STAMPING_ARGS = ['now', 'maxJobs', 'maxBytes'] as const;

/**
 * `next_revision()`: Redis' clock in microseconds, or the last revision + 1 if that is more; nil when that is too far from
 * `now`. Written by who uses it, by %.0f and returned as numbers:
 * tostring would round 16 digits.
 * `joins(...)`: counts a job of the tenant, if there is room for it. A job alone is never too large.
 */
const STAMPING = `${FAIR_SHARE}${BACKLOG}
  local function next_revision()
    local time = redis.call('TIME')
    local theirs = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local first = math.max(theirs, number_of(redis.call('GET', lastRevision)) + 1)
    if math.abs(first - tonumber(now) * 1000) > ${MAX_SKEW_MS * 1000} then return nil end
    return first
  end
  local function joins(tenant, size)
    local jobs = number_of(field_of(backlogJobs, tenant))
    local bytes = number_of(field_of(backlogBytes, tenant))
    if jobs > 0 and (jobs >= tonumber(maxJobs) or bytes + size > tonumber(maxBytes)) then return false end
    backlog_join(backlogJobs, backlogBytes, tenant, size)
    return true
  end`;

/** Answers the first revision and the priority of each request, 0 for one that has no room; or a code. */
const STAMP = script({
  name: 'stamp',
  keys: [...FAIR_KEYS, 'lastRevision'],
  args: [...STAMPING_ARGS, '...requests'],
  lua: `${STAMPING}
  local first = next_revision()
  if not first then return 'CLOCK_SKEW' end
  local fair = fair_open(prioritized, fairClock, fairTenants)
  local answer = { first }
  local stamped = 0
  for at = 1, #requests, 2 do
    local priority = 0
    if joins(requests[at], tonumber(requests[at + 1])) then
      priority = fair_take(fair, requests[at])
      stamped = stamped + 1
    end
    answer[#answer + 1] = priority
  end
  if stamped == 0 then return answer end
  fair_close(fair)
  redis.call('SET', lastRevision, string.format('%.0f', first + stamped - 1))
  return answer`,
});

/**
 * Answers { revision, 0 made now | 1 unconfirmed | 2 confirmed, state, code, priority, fingerprint } of the marker, making it
 * if there is none; or a code, and then makes none: who asks again would get its revision as one to go on with.
 * A marker whose job may have to be added has a priority, and has it counted unless it is: who made it may have died,
 * or was refused and has taken its count back.
 */
const MARK = script({
  name: 'mark',
  keys: [...FAIR_KEYS, 'lastRevision', 'markerKey', 'entry'],
  args: [...STAMPING_ARGS, 'lifeMs', 'tenant', 'bytes'],
  lua: `${STAMPING}
  local marker = redis.call('HMGET', markerKey, 'revision', 'confirmed', 'state', 'code', 'counted', 'fingerprint')
  if marker[1] and (marker[2] or marker[3]) then
    return { tonumber(marker[1]), marker[2] and 2 or 1, marker[3] or '', marker[4] or '', 0, marker[6] or '' }
  end
  local revision = tonumber(marker[1]) or next_revision()
  if not revision then return 'CLOCK_SKEW' end
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

/** Answers 1 when this call confirmed the marker, 0 when it was confirmed before or is gone. */
const CONFIRM = script({
  name: 'confirm',
  keys: ['marker'],
  lua: `if redis.call('EXISTS', marker) == 0 then return 0 end return redis.call('HSETNX', marker, 'confirmed', '1')`,
});

/**
 * Answers the marker's fingerprint, after writing this one if it has none. A job that is in the queue without one was added
 * by an older producer, or its first marker has expired: its fingerprint is unknown and stays so.
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
  /** `unconfirmed`: somebody made it and has not (yet) said that the job is in the queue. */
  readonly kind: 'made' | 'unconfirmed' | 'confirmed';
  /** How the job ended, when it has; `unknown` for an end that only another version knows. */
  readonly state?: EndState | 'unknown';
  readonly code?: Code;
  /** Of the request whose job was added or is about to be; an older producer writes none. */
  readonly fingerprint?: string;
}

/**
 * One stamp for each request, or `TENANT_BACKLOG_FULL` with `retryAfterMs`; the revisions are consecutive.
 * @throws SealdexError `CLOCK_SKEW`
 */
export async function reserve(
  { redis, keys, clock, limits }: Stamping,
  requests: readonly Omit<ReservationRequest, 'queue'>[],
): Promise<(Reservation | SealdexError)[]> {
  if (requests.length === 0) return [];
  const answer = await runScript(redis, STAMP, {
    ...fairKeys(keys),
    lastRevision: keys.revision,
    now: clock.now(),
    maxJobs: limits.tenantBacklogJobs,
    maxBytes: limits.tenantBacklogBytes,
    requests: requests.flatMap(({ tenant, bytes }) => [tenant, bytes]),
  });
  if (!Array.isArray(answer)) throw refusal(answer);
  const [first, ...priorities] = answer as [number, ...number[]];
  let revision = first;
  return priorities.map((priority) =>
    priority === 0 ? refusal('TENANT_BACKLOG_FULL') : { revision: revision++, priority },
  );
}

/**
 * Finds or makes the marker of an idempotency key, which lives `lifeMs` from its making.
 * @throws SealdexError `CLOCK_SKEW`, `TENANT_BACKLOG_FULL` with `retryAfterMs`
 */
export async function mark(
  { redis, keys, clock, limits }: Stamping,
  jobId: string,
  lifeMs: number,
  { tenant, bytes }: Omit<ReservationRequest, 'queue'>,
): Promise<Marker> {
  const found = await runScript(redis, MARK, {
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
  });
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

function refusal(answer: unknown): SealdexError {
  if (answer === 'TENANT_BACKLOG_FULL') {
    return new SealdexError(answer, undefined, { retryAfterMs: BACKLOG_RETRY_MS });
  }
  return new SealdexError(typeof answer === 'string' && isCode(answer) ? answer : 'INTERNAL');
}

/** Says that the marker's job is in the queue. Answers whether this call was the first to say so. */
export const confirm = async (redis: Redis, keys: RedisKeys, jobId: string): Promise<boolean> =>
  (await runScript(redis, CONFIRM, { marker: keys.marker(jobId) })) === 1;

/**
 * Makes the job that is about to be added the one of its marker, unless another request's is already.
 * Answers the fingerprint of the marker; undefined if it is unknown, or the marker is gone.
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
