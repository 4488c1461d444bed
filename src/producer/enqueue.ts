// One checked request into the queue: a revision, the job and its encrypted content if it has any; and one job per
// idempotency key, whoever asks and whoever dies in between. Knows nothing of documents and of what a caller's object looks like.
import { withAuditContext } from '../runtime/audit-log.ts';
import { SealdexError, type Code } from '../runtime/errors.ts';
import type { FingerprintKey } from '../intake/fingerprint-key.ts';
import { putContent, putFile, type ContentHeader, type IntakeDeps } from '../intake/intake.ts';
import { isOfDocument, newJobId, type DocumentJobData } from '../jobs/jobs.ts';
import { objectName } from '../runtime/names.ts';
import { estimateBytes, type ReservationRequest } from '../queue/backlog/backlog.ts';
import { queueOf } from '../queue/bull/queue-keys.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { Marker, Reservation } from '../queue/fair-share/reservation.ts';
import type { JobState, JobStatus } from '../queue/bull/job-lookup.ts';
import { RETRY_AFTER_MS } from '../queue/backlog/redis-memory-limit.ts';
import { isReplyError } from '../runtime/redis-errors.ts';
import type { Tenant, Tenants } from '../tenants/tenants.ts';
import { fingerprintOf, type RequestFingerprint } from './fingerprint.ts';
import type { CheckedRequest } from './request.ts';

export type { JobState, JobStatus } from '../queue/bull/job-lookup.ts';

/**
 * Result of an enqueue call. `revision` orders the writes of a document: the highest one is kept. A `duplicate` repeats an idempotency
 * key: `jobId`, `revision`, `state` and `code` are those of the first job.
 */
export type EnqueueResult =
  | { readonly status: 'queued'; readonly jobId: string; readonly revision: number }
  | {
      readonly status: 'duplicate';
      /** Of the job that the idempotency key led to first. */
      readonly jobId: string;
      readonly revision: number;
      readonly state: JobState;
      readonly code?: Code;
    };

export interface EnqueueDeps {
  readonly queue: JobQueue;
  readonly tenants: Tenants;
  readonly intake: IntakeDeps;
  readonly fingerprintKey: FingerprintKey;
}

/** A request whose tenant is known and for which Redis has room: next comes its stamp. */
export interface PreparedRequest {
  readonly request: CheckedRequest;
  readonly owner: Tenant;
  /** What it takes of its tenant's backlog. */
  readonly share: ReservationRequest;
}

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

/** One of the stamps that were asked for. @throws SealdexError what was answered instead of it */
export function stampAt(stamps: readonly (Reservation | SealdexError)[], index: number): Reservation {
  const stamp = stamps[index];
  if (stamp === undefined || stamp instanceof SealdexError) throw stamp ?? new SealdexError('INTERNAL');
  return stamp;
}

/** `stamp` is asked for only by a request without an idempotency key: a key's marker has one of its own. */
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

/** An end that the marker tells of says as much as a confirmation: who added the job died before confirming. */
const isKnown = ({ kind, state }: Marker): boolean => kind === 'confirmed' || state !== undefined;

/** Only for content that no job names. What cannot be removed now the sweep takes. */
const removeContent = (made: MadeJob): Promise<void> => made.remove().catch(() => {});

/** Only for a job that is certainly not in the queue. What cannot be taken back now, the next count puts right. */
const leaveBacklog = (queue: JobQueue, id: string, share: ReservationRequest, hasMarker: boolean): Promise<void> =>
  queue.takeBack(id, share, hasMarker).catch(() => {});

/** No two messages are alike, so content alone would tell; a job without any is told by its revision. */
const sameness = (data: DocumentJobData): string =>
  JSON.stringify([data.revision, 'content' in data ? data.content : undefined]);

/** As text, since what stands in Redis may have any shape. */
const isSame = (standing: DocumentJobData, made: DocumentJobData): boolean => sameness(standing) === sameness(made);

/**
 * Of all who ask with one key, one is answered `queued`: who confirms the marker.
 * @throws SealdexError `IDEMPOTENCY_CONFLICT` if the key was used for another request
 */
async function enqueueOnce(
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
  // Who made the marker may have died before the job was added, or be about to add it: one of the adds wins.
  const isOthers = marker.kind === 'unconfirmed';
  const before = isOthers ? await queue.data(id) : undefined;
  if (isOfDocument(before)) {
    await fingerprint.mustEqual(await queue.fingerprint(id));
    return duplicate(queue, id, { ...marker, revision: before.revision });
  }
  const job = { id, revision: marker.revision, priority: marker.priority, hasMarker: true };
  const made = await make(deps, { ...prepared, request: fingerprint.request }, job);
  const now = isOthers ? await queue.mark(id, prepared.share) : marker;
  if (isKnown(now)) {
    // The job came and went while we encrypted: a second one would do its work again.
    await removeContent(made);
    return duplicateIfSame(queue, id, now, fingerprint);
  }
  await claim(queue, id, prepared.share, fingerprint, made);
  await add(deps, prepared, { ...job, priority: now.priority }, made);
  const standing = await queue.data(id);
  if (isOfDocument(standing) && !isSame(standing, made.data)) {
    await removeContent(made);
    return duplicate(queue, id, { ...marker, revision: standing.revision });
  }
  const isFirst = await queue.confirm(id);
  if (!standing && (await isUnneeded(queue, id, made))) await removeContent(made);
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
 * Writes the fingerprint just before the job is added: of two requests with one key that come at once, one is added.
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
    // The marker of a conflict belongs to the other request.
    await Promise.all([removeContent(made), isConflict ? undefined : leaveBacklog(queue, id, share, true)]);
    throw error;
  }
}

/**
 * The answer to who added a job and was not the first to confirm it: somebody else was, or the marker is gone.
 * @throws SealdexError `REDIS_FAILED` when the job is gone with it: Redis was flushed or failed over in between. To answer
 * `duplicate` would lose the document; who repeats the request queues it.
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

const LOOKS = 3;

/** Whether no job needs this content any more: it left the queue before we looked, and was maybe not even the one with ours. */
async function isUnneeded(queue: JobQueue, id: string, made: MadeJob): Promise<boolean> {
  for (let look = 0; look < LOOKS; look++) {
    const standing = await queue.data(id);
    if (isOfDocument(standing)) return !isSame(standing, made.data);
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

interface Job extends Reservation {
  readonly id: string;
  readonly hasMarker: boolean;
}

/** What is to be added to the queue. */
interface MadeJob {
  readonly data: DocumentJobData;
  /** Takes back what the job would have named; only for a job that is not in the queue. */
  remove(): Promise<void>;
}

/** Encrypts the content, if the job has any, and puts it where the job can name it. */
async function make(
  { intake, queue }: EnqueueDeps,
  { request, owner, share }: PreparedRequest,
  { id, revision, hasMarker }: Job,
): Promise<MadeJob> {
  const { tenant, corpus, documentId } = request;
  if (request.kind === 'delete') {
    const object = objectName(documentId);
    return { data: { v: 1, kind: 'delete', tenant, corpus, revision, object }, remove: async () => {} };
  }
  const { kind, ifExists } = request;
  const header: ContentHeader = { v: 1, tenant, corpus, job: id, kind, revision, ifExists, documentId };
  const about = { v: 1, tenant, corpus, revision } as const;
  try {
    if (request.kind === 'upload') {
      const put = await withAuditContext({ job: id }, () =>
        putFile(intake, owner, { ...header, ...request.about }, request.file),
      );
      const { object, content } = put;
      return { data: { ...about, kind: 'upload', object, content }, remove: () => put.remove() };
    }
    const put = await withAuditContext({ job: id }, () => putContent(intake, owner, header, request.body));
    const { object, content } = put;
    return { data: { ...about, kind: 'index', object, content }, remove: () => put.remove() };
  } catch (error) {
    await leaveBacklog(queue, id, share, hasMarker);
    throw error;
  }
}

async function add(
  { queue }: EnqueueDeps,
  { share }: PreparedRequest,
  { id, priority, hasMarker }: Job,
  made: MadeJob,
): Promise<void> {
  try {
    await queue.add(id, made.data, priority);
  } catch (error) {
    // A lost connection leaves open whether the job is in the queue.
    if (!isReplyError(error)) throw error;
    // A first attempt whose answer was lost may have added the job before this one was refused.
    const standing = await queue.data(id);
    if (isOfDocument(standing) && isSame(standing, made.data)) return;
    await Promise.all([removeContent(made), leaveBacklog(queue, id, share, hasMarker)]);
    throw error;
  }
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
