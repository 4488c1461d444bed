// Requests with an idempotency key: one job per key, even if several producers send it or crash. The idempotency record in Redis
// decides; another request with the key can repeat every step.
import { SealdexError, type Code } from '../runtime/errors.ts';
import { isOfDocument, newJobId } from '../jobs/jobs.ts';
import type { ReservationRequest } from '../queue/backlog/backlog.ts';
import type { JobState, JobStatus } from '../queue/bull/job-lookup.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { Marker } from '../queue/fair-share/reservation.ts';
import { fingerprintOf, type RequestFingerprint } from './fingerprint.ts';
import {
  add,
  isSame,
  leaveBacklog,
  make,
  removeContent,
  type EnqueueDeps,
  type MadeJob,
  type PreparedRequest,
} from './make-job.ts';

/**
 * Result of an enqueue call. `revision` orders the writes of a document: the highest one is kept. A `duplicate` repeats an idempotency
 * key: `jobId`, `revision`, `state` and `code` are those of the first job.
 */
export type EnqueueResult =
  | { readonly status: 'queued'; readonly jobId: string; readonly revision: number }
  | {
      readonly status: 'duplicate';
      /** Id of the first job of the idempotency key. */
      readonly jobId: string;
      readonly revision: number;
      readonly state: JobState;
      readonly code?: Code;
    };

/** A record with a final state also proves that its job was added: its producer crashed before confirming the record. */
const isKnown = ({ kind, state }: Marker): boolean => kind === 'confirmed' || state !== undefined;

/**
 * Of all requests with one key, the one that confirms the record gets `queued`.
 * @throws SealdexError `IDEMPOTENCY_CONFLICT` if the key was used for another request
 */
export async function enqueueOnce(
  deps: EnqueueDeps,
  prepared: PreparedRequest,
  idempotencyKey: string,
): Promise<EnqueueResult> {
  const { queue } = deps;
  const { tenant, corpus, kind } = prepared.request;
  const id = newJobId({ tenant, corpus, kind, idempotencyKey });
  // Before anything is reserved: without the secret nothing is queued.
  const fingerprint = fingerprintOf(await deps.fingerprintKey.begin(), id, prepared.request);
  const marker = await queue.mark(id, prepared.share);
  if (isKnown(marker)) return duplicateIfSame(queue, id, marker, fingerprint);
  // The producer of the record may have crashed before adding the job, or be about to add it: one of the two additions wins.
  const isUnconfirmed = marker.kind === 'unconfirmed';
  const before = isUnconfirmed ? await queue.data(id) : undefined;
  if (isOfDocument(before)) {
    await fingerprint.mustEqual(await queue.fingerprint(id));
    return duplicate(queue, id, { ...marker, revision: before.revision });
  }
  const job = { id, revision: marker.revision, priority: marker.priority, hasMarker: true };
  const made = await make(deps, { ...prepared, request: fingerprint.request }, job);
  const now = isUnconfirmed ? await queue.mark(id, prepared.share) : marker;
  if (isKnown(now)) {
    // The other job was added and finished during the encryption: a second one would repeat its work.
    await removeContent(queue, made);
    return duplicateIfSame(queue, id, now, fingerprint);
  }
  await claim(queue, id, prepared.share, fingerprint, made);
  await add(deps, prepared, { ...job, priority: now.priority }, made);
  const existing = await queue.data(id);
  if (isOfDocument(existing) && !isSame(existing, made.data)) {
    await removeContent(queue, made);
    return duplicate(queue, id, { ...marker, revision: existing.revision });
  }
  const isFirst = await queue.confirm(id);
  if (!existing && (await isUnneeded(queue, id, made))) await removeContent(queue, made);
  return isFirst
    ? { status: 'queued', jobId: id, revision: marker.revision }
    : duplicateOfAdded(queue, id, marker, prepared.share);
}

async function duplicateIfSame(
  queue: JobQueue,
  id: string,
  marker: Marker,
  fingerprint: RequestFingerprint,
): Promise<EnqueueResult> {
  await fingerprint.mustEqual(marker.fingerprint);
  return duplicate(queue, id, marker);
}

/**
 * Writes the fingerprint just before the job is added: of two concurrent requests with one key, one is added.
 * @throws SealdexError `IDEMPOTENCY_CONFLICT` if another request was faster
 */
async function claim(
  queue: JobQueue,
  id: string,
  share: ReservationRequest,
  fingerprint: RequestFingerprint,
  made: MadeJob,
): Promise<void> {
  try {
    await fingerprint.mustEqual(await queue.claim(id, share.queue, await fingerprint.whole()));
  } catch (error) {
    const isConflict = error instanceof SealdexError && error.code === 'IDEMPOTENCY_CONFLICT';
    // In a conflict, the record belongs to the other request.
    await Promise.all([removeContent(queue, made), isConflict ? undefined : leaveBacklog(queue, id, share, true)]);
    throw error;
  }
}

/**
 * Result of a request that added a job but did not confirm it first, or whose record is gone.
 * @throws SealdexError `REDIS_FAILED` if the job is gone too: Redis was flushed or failed over meanwhile. `duplicate` would lose
 * the document; repeating the request queues it.
 */
async function duplicateOfAdded(
  queue: JobQueue,
  id: string,
  marker: Marker,
  share: ReservationRequest,
): Promise<EnqueueResult> {
  const answer = await duplicate(queue, id, marker);
  if (answer.status === 'queued' || answer.state !== 'unknown') return answer;
  const now = await queue.mark(id, share);
  if (!isKnown(now)) throw new SealdexError('REDIS_FAILED', undefined, { reason: 'JobGone' });
  return duplicate(queue, id, now);
}

const MAX_READS = 3;

/** Returns true if no job needs this content: the job left the queue before it was read, and may have had other content. */
async function isUnneeded(queue: JobQueue, id: string, made: MadeJob): Promise<boolean> {
  for (let read = 0; read < MAX_READS; read++) {
    const existing = await queue.data(id);
    if (isOfDocument(existing)) return !isSame(existing, made.data);
    const { state } = await queue.status(id);
    if (state === 'done' || state === 'superseded') return true;
    if (state === 'unknown') return false;
  }
  return false;
}

async function duplicate(queue: JobQueue, id: string, marker: Marker): Promise<EnqueueResult> {
  const now: JobStatus = await queue.status(id);
  const state = now.state === 'unknown' ? (marker.state ?? 'unknown') : now.state;
  const code = now.code ?? marker.code;
  return { status: 'duplicate', jobId: id, revision: marker.revision, state, ...(code === undefined ? {} : { code }) };
}
