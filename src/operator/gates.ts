// Gate list of the operator: gates that are not open, with code, time, parked jobs, and the action that opens them.
import { gateId, keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Code } from '../runtime/errors.ts';
import type { GateRecord, Gates, GateState } from '../parking/gate.ts';
import { countParked, type ParkedCount } from '../queue/parked/parked-counts.ts';
import type { Redis, RedisKeys } from '../runtime/redis.ts';
import { remedyOf, type GateAction } from './gate-actions.ts';
import { isOperatorStop } from '../parking/gate-record.ts';

export type { GateState } from '../parking/gate.ts';

/** A gate that is not open: its state, its parked jobs and the action that opens it. */
export interface GateFacts extends GateAction, KeyRef {
  /** `shut`: jobs are parked. `draining`: parked jobs are being released. `destroyed`: the key is permanently lost. */
  readonly state: GateState;
  /** Code of the error that shut the gate, or of the operator stop. */
  readonly code: Code;
  /** Start of the state: Unix time in milliseconds. */
  readonly since: number;
  /** Number of parked jobs. */
  readonly jobs: number;
  /** Time at which the oldest of them was parked: Unix time in milliseconds. */
  readonly oldest?: number;
  /** Time of the next probe: Unix time in milliseconds. Absent if no probe opens the gate. */
  readonly nextProbe?: number;
  /** Number of probes so far. */
  readonly probes: number;
  /** Error name of KMS. */
  readonly reason?: string;
  /** AWS request id of that error, as in CloudTrail. */
  readonly requestId?: string;
  /** Deletion date of the key: Unix time in milliseconds. */
  readonly deletesAt?: number;
  /** Side whose policy denied the call, if KMS reports it. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** Reason given by the operator. */
  readonly note?: string;
}

/** Selects gates; without a field, of all tenants and keys. */
export interface GateFilter {
  /** Name of the tenant. */
  readonly tenant?: string | undefined;
  /** ARN of the KMS key. */
  readonly keyArn?: string | undefined;
}

/** Gates that are not open. */
export interface GateList {
  /** At most 1,000, the most urgent first. */
  readonly gates: readonly GateFacts[];
  /** Number of all such gates. */
  readonly total: number;
}

/** Parked jobs of a tenant. */
export interface TenantParked {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Number of its parked jobs. */
  readonly jobs: number;
  /** Time at which the oldest of them was parked: Unix time in milliseconds. */
  readonly oldest: number;
}

export interface GateDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly gates: Gates;
}

export const GATES_LISTED = 1000;

export const recordsOf = (gates: Pick<Gates, 'all'>): GateRecord[] =>
  gates.all().flatMap(({ record }) => (record ? [record] : []));

/** Returns the counts in the order of the records. */
export const countsOf = ({ redis, keys }: GateDeps, records: readonly GateRecord[]): Promise<ParkedCount[]> =>
  countParked(
    redis,
    keys,
    records.map((record) => gateId(record)),
  );

/** @throws SealdexError `REDIS_FAILED` */
export async function listGates(deps: GateDeps, { tenant, keyArn }: GateFilter = {}): Promise<GateList> {
  await deps.gates.tick();
  const found = recordsOf(deps.gates).filter(
    (record) =>
      record.state !== 'open' &&
      (tenant === undefined || record.tenant === tenant) &&
      (keyArn === undefined || record.keyArn === keyArn),
  );
  const listed = found.toSorted(byUrgency).slice(0, GATES_LISTED);
  const parked = await countsOf(deps, listed);
  return { gates: listed.map((record, at) => factsOf(record, parked[at])), total: found.length };
}

/** Undefined if the gate is open. @throws SealdexError `REDIS_FAILED` */
export async function gateFacts(deps: GateDeps, record: GateRecord | undefined): Promise<GateFacts | undefined> {
  if (!record || record.state === 'open') return undefined;
  const [parked] = await countsOf(deps, [record]);
  return factsOf(record, parked);
}

/** Finds a gate by its gateId(); undefined if it is open. @throws SealdexError `REDIS_FAILED` */
export async function gateNamed(deps: GateDeps, id: string): Promise<GateFacts | undefined> {
  await deps.gates.tick();
  return gateFacts(
    deps,
    recordsOf(deps.gates).find((record) => gateId(record) === id),
  );
}

/** Parked jobs by tenant, most first, from at most 1,000 gates. @throws SealdexError `REDIS_FAILED` */
export async function parkedByTenant(deps: GateDeps): Promise<TenantParked[]> {
  await deps.gates.tick();
  // Includes open gates: one that was just opened may still have parked jobs.
  const records = recordsOf(deps.gates).toSorted(byUrgency).slice(0, GATES_LISTED);
  const parked = await countsOf(deps, records);
  const counts = new Map<string, TenantParked>();
  for (const [at, { tenant }] of records.entries()) {
    const { jobs = 0, oldest } = parked[at] ?? {};
    if (jobs === 0 || oldest === undefined) continue;
    const before = counts.get(tenant);
    counts.set(tenant, {
      tenant,
      jobs: jobs + (before?.jobs ?? 0),
      oldest: Math.min(oldest, before?.oldest ?? oldest),
    });
  }
  return [...counts.values()].toSorted((one, other) => other.jobs - one.jobs);
}

/** Orders keys that will be deleted first, then gates by the time since they were shut; draining and open gates are last. */
function byUrgency(one: GateRecord, other: GateRecord): number {
  const rank = ({ state, deletesAt, code }: GateRecord): number => {
    if (state === 'open') return 3;
    if (state === 'draining') return 2;
    return code === 'KEY_PENDING_DELETION' || deletesAt !== undefined ? 0 : 1;
  };
  const ends = ({ deletesAt }: GateRecord): number => deletesAt ?? Number.MAX_SAFE_INTEGER;
  return rank(one) - rank(other) || ends(one) - ends(other) || one.since - other.since;
}

function factsOf(record: GateRecord, parked: ParkedCount | undefined): GateFacts {
  const { tenant, keyArn, state, code, since, probes, nextProbe, reason, requestId, deletesAt, deniedBy, note } =
    record;
  return {
    ...keyRef(tenant, keyArn),
    state,
    code,
    since,
    jobs: parked?.jobs ?? 0,
    ...(parked?.oldest === undefined ? {} : { oldest: parked.oldest }),
    ...(state === 'shut' && !isOperatorStop(code) ? { nextProbe } : {}),
    probes,
    ...(reason === undefined ? {} : { reason }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(deletesAt === undefined ? {} : { deletesAt }),
    ...(deniedBy === undefined ? {} : { deniedBy }),
    ...(note === undefined ? {} : { note }),
    ...remedyOf(record),
  };
}
