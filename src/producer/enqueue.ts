// Enqueues one checked request: a reservation, the encrypted content if any, and the job. Must not import documents code.
import { SealdexError } from '../runtime/errors.ts';
import { newJobId } from '../jobs/jobs.ts';
import { RETRY_AFTER_MS } from '../queue/backlog/redis-memory-limit.ts';
import { estimateBytes } from '../queue/backlog/backlog.ts';
import { queueOf } from '../queue/bull/queue-keys.ts';
import type { Reservation } from '../queue/fair-share/reservation.ts';
import { enqueueOnce, type EnqueueResult } from './enqueue-once.ts';
import { add, make, type EnqueueDeps, type PreparedRequest } from './make-job.ts';
import type { CheckedRequest } from './request.ts';

/** @throws SealdexError as Tenants.get(), and `QUEUE_FULL` */
export async function prepare(
  { tenants, queue, intake }: EnqueueDeps,
  request: CheckedRequest,
): Promise<PreparedRequest> {
  const owner = await tenants.get(request.tenant);
  await queue.refuseWhenFull();
  // A file is never stored in the job.
  const inlineBytes = request.kind === 'upload' ? 0 : intake.inlineBytes;
  const bytes = estimateBytes('body' in request ? request.body.length : 0, inlineBytes);
  return { request, owner, share: { queue: queueOf(request.kind), tenant: request.tenant, bytes } };
}

/** Returns one of the requested reservations. @throws SealdexError that was returned instead of it */
export function reservationAt(reservations: readonly (Reservation | SealdexError)[], index: number): Reservation {
  const reservation = reservations[index];
  if (reservation === undefined || reservation instanceof SealdexError)
    throw reservation ?? new SealdexError('INTERNAL');
  return reservation;
}

/** Calls `reserve` only for a request without an idempotency key: the record of a key has its own reservation. */
export async function enqueue(
  deps: EnqueueDeps,
  prepared: PreparedRequest,
  reserve: () => Promise<Reservation>,
): Promise<EnqueueResult> {
  const { idempotencyKey } = prepared.request;
  if (idempotencyKey !== undefined) return enqueueOnce(deps, prepared, idempotencyKey);
  const job = { id: newJobId(), ...(await reserve()), hasMarker: false };
  await add(deps, prepared, job, await make(deps, prepared, job));
  return { status: 'queued', jobId: job.id, revision: job.revision };
}

/**
 * Converts an error for the caller. An unexpected error may quote content: only its name is kept. A Redis out of memory is a full
 * queue.
 */
export function asSealdexError(error: unknown): SealdexError {
  if (!(error instanceof SealdexError))
    return new SealdexError('INTERNAL', undefined, { reason: error instanceof Error ? error.name : typeof error });
  const { code, reason, cause } = error;
  return code === 'REDIS_FAILED' && reason === 'OOM'
    ? new SealdexError('QUEUE_FULL', error.message, { reason, cause, retryAfterMs: RETRY_AFTER_MS })
    : error;
}
