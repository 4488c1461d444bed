// Schedule of a chaos run: which requests are sent and which faults begin and end, by time. Depends on the seed alone.
import { randomOf, type Random } from './random.ts';

export const TENANTS = ['own-a', 'own-b', 'platform'] as const;
export type Tenant = (typeof TENANTS)[number];

/** Tenants with a KMS key of their own. */
const KEY_TENANTS = ['own-a', 'own-b'] as const;

export const WORKERS = 3;

const DOCUMENTS = 12;

/** A request for one document. `n` is unique in the run. */
export interface DocumentRequest {
  readonly kind: 'index' | 'upload' | 'delete';
  readonly n: number;
  readonly tenant: Tenant;
  readonly document: number;
  /** Number of repeated sentences; above 100 the content waits in S3. */
  readonly sentences: number;
}

export type Request =
  | DocumentRequest
  | { readonly kind: 'replay' }
  | { readonly kind: 'set-key'; readonly tenant: Tenant }
  | { readonly kind: 'pause'; readonly tenant: Tenant };

const FAULTS = [
  'worker-kill',
  'worker-freeze',
  'worker-stop',
  'redis-kill',
  'redis-freeze',
  'redis-full',
  'redis-read-only',
  's3-error',
  's3-hang',
  's3-lost-response',
  's3-conflict',
  's3-failing-deletes',
  'kms-key-off',
  'kms-platform-key-off',
  'kms-flapping',
  'kms-throttled',
  'kms-hang',
] as const;

export type FaultName = (typeof FAULTS)[number];

export interface Fault {
  readonly fault: FaultName;
  /** Milliseconds until the fault ends. */
  readonly forMs: number;
  readonly worker: number;
  readonly tenant: Tenant;
}

export interface Schedule {
  readonly requests: readonly (Request & { readonly atMs: number })[];
  readonly faults: readonly (Fault & { readonly atMs: number })[];
}

export interface ScheduleOptions {
  readonly seed: number;
  /** Milliseconds from the first request to the last one. */
  readonly lengthMs: number;
}

/** Milliseconds between two requests, and between the starts of two faults. */
const REQUEST_EVERY_MS = 45;
const FAULT_EVERY_MS = 700;
/** The end of a fault takes time, as the start of Redis does. */
const BETWEEN_MS = 1000;

/** Longer than the lock of a job in a chaos worker. */
const FREEZE_MS = 6500;
const LONGEST_MS: Partial<Record<FaultName, number>> = { 'redis-freeze': 2500, 'redis-kill': 1500, 'kms-hang': 3000 };

/** Requests and faults have their own sequences, so that more of one does not change the other. */
export function scheduleOf({ seed, lengthMs }: ScheduleOptions): Schedule {
  const requests = stepsOf(randomOf(seed), lengthMs, REQUEST_EVERY_MS, requestOf);
  const faults = stepsOf(randomOf(seed ^ 0x9e3779b9), lengthMs, FAULT_EVERY_MS, faultOf);
  return { requests, faults: withoutOverlaps(faults) };
}

const placeOf = ({ fault, worker }: Fault): string =>
  fault.startsWith('worker') ? `worker ${worker}` : fault.startsWith('redis') ? 'redis' : fault;

/** Without the faults that begin before the end of another one of the same place: one of the two would end both. */
function withoutOverlaps<Step extends Fault & { readonly atMs: number }>(faults: readonly Step[]): Step[] {
  const freeAt = new Map<string, number>();
  return faults.filter((fault) => {
    const place = placeOf(fault);
    if (fault.atMs < (freeAt.get(place) ?? 0)) return false;
    freeAt.set(place, fault.atMs + fault.forMs + BETWEEN_MS);
    return true;
  });
}

function stepsOf<Step>(
  random: Random,
  lengthMs: number,
  everyMs: number,
  make: (random: Random, n: number) => Step,
): (Step & { atMs: number })[] {
  return Array.from({ length: Math.floor(lengthMs / everyMs) }, (_, n) => ({
    ...make(random, n),
    atMs: n * everyMs + random.int(0, everyMs - 1),
  }));
}

function requestOf(random: Random, n: number): Request {
  const percent = random.int(1, 100);
  if (percent === 1) return { kind: 'set-key', tenant: random.pick(KEY_TENANTS) };
  if (percent === 2) return { kind: 'pause', tenant: random.pick(TENANTS) };
  if (percent === 3) return { kind: 'replay' };
  const kind = percent <= 6 ? 'upload' : percent <= 18 ? 'delete' : 'index';
  return {
    kind,
    n,
    tenant: random.pick(TENANTS),
    document: random.int(1, DOCUMENTS),
    sentences: random.pick([1, 3, 20, 400]),
  };
}

function faultOf(random: Random): Fault {
  const fault = random.pick(FAULTS);
  const forMs = fault === 'worker-freeze' ? FREEZE_MS : random.int(200, LONGEST_MS[fault] ?? 2000);
  return { fault, forMs, worker: random.int(0, WORKERS - 1), tenant: random.pick(TENANTS) };
}
