// One checked request into the queue: a reservation, the encrypted content if it has any, and the job.
// Must not import documents code.
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
  // A file is never in the job.
  const inlineBytes = request.kind === 'upload' ? 0 : intake.inlineBytes;
  const bytes = estimateBytes('body' in request ? request.body.length : 0, inlineBytes);
  return { request, owner, share: { queue: queueOf(request.kind), tenant: request.tenant, bytes } };
}

/** One of the requested reservations. @throws SealdexError the error that was returned instead of it */
export function stampAt(stamps: readonly (Reservation | SealdexError)[], index: number): Reservation {
  const stamp = stamps[index];
  if (stamp === undefined || stamp instanceof SealdexError) throw stamp ?? new SealdexError('INTERNAL');
  return stamp;
}

/** `stamp` is called only for a request without an idempotency key: the key's marker has its own reservation. */
export async function enqueue(
  deps: EnqueueDeps,
  prepared: PreparedRequest,
  stamp: () => Promise<Reservation>,
): Promise<EnqueueResult> {
  const { idempotencyKey } = prepared.request;
  if (idempotencyKey !== undefined) return enqueueOnce(deps, prepared, idempotencyKey);
  const job = { id: newJobId(), ...(await stamp()), hasMarker: false };
  await add(deps, prepared, job, await make(deps, prepared, job));
  return { status: 'queued', jobId: job.id, revision: job.revision };
}

/** What a caller gets. An unexpected error may quote content: only its name is kept. A Redis out of memory is a full queue. */
export function asSealdexError(error: unknown): SealdexError {
  if (!(error instanceof SealdexError))
    return new SealdexError('INTERNAL', undefined, { reason: error instanceof Error ? error.name : typeof error });
  const { code, reason, cause } = error;
  return code === 'REDIS_FAILED' && reason === 'OOM'
    ? new SealdexError('QUEUE_FULL', error.message, { reason, cause, retryAfterMs: RETRY_AFTER_MS })
    : error;
}
