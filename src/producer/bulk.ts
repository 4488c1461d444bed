// Bulk requests: processed in batches, so that memory use and the duration of an outage do not grow with their number.
import type { Clock } from '../runtime/clock.ts';
import { createYielder } from '../documents/yielder.ts';
import type { DocumentLimits } from '../documents/shapes.ts';
import { dispositionOf, SealdexError, type Code } from '../runtime/errors.ts';
import type { Reservation } from '../queue/fair-share/reservation.ts';
import { asSealdexError, enqueue, prepare, reservationAt } from './enqueue.ts';
import type { EnqueueResult } from './enqueue-once.ts';
import type { EnqueueDeps, PreparedRequest } from './make-job.ts';
import { checkRequest, invalid, readable, type CheckedIndex } from './request.ts';

export type BulkResult = EnqueueResult | SealdexError;

const MAX_REQUESTS = 100_000;

/** Requests encrypted and stored concurrently. The documents of a batch may exceed this limit of bytes by one document. */
const BATCH_REQUESTS = 16;
const BATCH_BYTES = 16 * 1_048_576;

/** After this number of failures in a row, the rest is skipped: of one tenant or, if several tenants failed, of all. */
const MAX_FAILURES_IN_ROW = 16;

interface BatchEntry {
  readonly index: number;
  readonly request: CheckedIndex;
}

/** @throws SealdexError `DOCUMENT_INVALID` if `requests` is not an array of at most 100,000; nothing is queued then */
export async function enqueueBulk(
  deps: EnqueueDeps,
  limits: DocumentLimits,
  clock: Clock,
  requests: readonly unknown[],
): Promise<BulkResult[]> {
  const count = readable('requests', () => (Array.isArray(requests) ? requests.length : Infinity));
  if (count > MAX_REQUESTS) throw invalid('requests', `must be an array of at most ${MAX_REQUESTS} requests`);
  const results: BulkResult[] = [];
  const outages = new Outages();
  const yielder = createYielder(clock);
  let batch = new Batch();
  const flush = async (): Promise<void> => {
    const entries = batch.entries;
    batch = new Batch();
    for (const [at, result] of (await enqueueBatch(deps, entries)).entries()) {
      const { index, request } = entries[at]!;
      results[index] = result;
      outages.note(request.tenant, result);
    }
  };
  for (let index = 0; index < count; index++) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    const request = checked(requests, index, limits);
    if (request instanceof SealdexError) {
      results[index] = request;
      continue;
    }
    if (!batch.hasRoomFor(request)) await flush();
    const outage = outages.of(request.tenant);
    if (outage) results[index] = outage;
    else batch.add({ index, request });
  }
  await flush();
  return results;
}

function checked(requests: readonly unknown[], index: number, limits: DocumentLimits): CheckedIndex | SealdexError {
  try {
    return checkRequest(
      readable('request', () => requests[index]),
      limits,
    );
  } catch (error) {
    return asSealdexError(error);
  }
}

async function enqueueBatch(deps: EnqueueDeps, entries: readonly BatchEntry[]): Promise<BulkResult[]> {
  const all = await Promise.all(entries.map(({ request }) => prepare(deps, request).catch(asSealdexError)));
  const reservationOf = reserveTogether(deps, all);
  return Promise.all(
    all.map(async (one) =>
      one instanceof SealdexError ? one : enqueue(deps, one, () => reservationOf(one)).catch(asSealdexError),
    ),
  );
}

/** Makes the reservations of all requests without an idempotency key in one script. */
function reserveTogether(
  { queue }: EnqueueDeps,
  all: readonly (PreparedRequest | SealdexError)[],
): (one: PreparedRequest) => Promise<Reservation> {
  const unreserved = all.flatMap((one) =>
    one instanceof SealdexError || one.request.idempotencyKey !== undefined ? [] : [one],
  );
  const reservations = queue.reserve(unreserved.map(({ share }) => share));
  // Each request that needs a reservation gets the error.
  reservations.catch(() => {});
  return async (one) => reservationAt(await reservations, unreserved.indexOf(one));
}

/**
 * Requests that may run in any order. A document that is already in the batch waits for the next one, and so gets a higher
 * revision: of two requests in a bulk, the later wins. For an idempotency key, the earlier request is queued.
 */
class Batch {
  readonly entries: BatchEntry[] = [];
  readonly #names = new Set<string>();
  #bytes = 0;

  hasRoomFor(request: CheckedIndex): boolean {
    if (this.entries.length >= BATCH_REQUESTS || this.#bytes >= BATCH_BYTES) return false;
    return !namesOf(request).some((name) => this.#names.has(name));
  }

  add(one: BatchEntry): void {
    this.entries.push(one);
    this.#bytes += one.request.body.length;
    for (const name of namesOf(one.request)) this.#names.add(name);
  }
}

function namesOf({ tenant, corpus, documentId, idempotencyKey }: CheckedIndex): string[] {
  const document = JSON.stringify(['document', tenant, corpus, documentId]);
  return idempotencyKey === undefined
    ? [document]
    : [document, JSON.stringify(['key', tenant, corpus, idempotencyKey])];
}

/**
 * Codes of parts that all tenants share. Errors of a tenant's own key do not count for other tenants, even if several have them.
 */
const SHARED: ReadonlySet<Code> = new Set([
  'REDIS_FAILED',
  'GATE_UNKNOWN',
  'QUEUE_FULL',
  'KMS_FAILED',
  'KMS_THROTTLED',
  'STORE_FAILED',
  'PLATFORM_CREDENTIALS',
  'PLATFORM_KEY',
  'PLATFORM_DENIED',
  'PLATFORM_STORE',
  'PLATFORM_TENANTS',
]);

/** A full queue counts as an outage: it does not end during the call. */
const isLasting = (code: Code): boolean =>
  code === 'QUEUE_FULL' ||
  code === 'TENANT_BACKLOG_FULL' ||
  !['dead', 'none'].includes(dispositionOf(code).disposition);

/**
 * Tenants for which KMS, S3 or Redis fails repeatedly, or which have no room left. A hanging service costs a second per request.
 */
class Outages {
  /** Failures in a row, of any tenant. */
  #inRow = 0;
  readonly #tenantsInRow = new Set<string>();
  #ofAll: SealdexError | undefined;
  readonly #failures = new Map<string, number>();
  readonly #errors = new Map<string, SealdexError>();

  note(tenant: string, result: BulkResult): void {
    const isOutage = result instanceof SealdexError && isLasting(result.code);
    const failures = isOutage ? (this.#failures.get(tenant) ?? 0) + 1 : 0;
    this.#failures.set(tenant, failures);
    if (isOutage && failures >= MAX_FAILURES_IN_ROW) this.#errors.set(tenant, result);
    this.#noteForAll(tenant, result);
  }

  #noteForAll(tenant: string, result: BulkResult): void {
    if (!(result instanceof SealdexError && SHARED.has(result.code))) {
      this.#inRow = 0;
      this.#tenantsInRow.clear();
      return;
    }
    this.#inRow += 1;
    this.#tenantsInRow.add(tenant);
    if (this.#inRow >= MAX_FAILURES_IN_ROW && this.#tenantsInRow.size > 1) this.#ofAll ??= result;
  }

  of(tenant: string): SealdexError | undefined {
    return this.#errors.get(tenant) ?? this.#ofAll;
  }
}
