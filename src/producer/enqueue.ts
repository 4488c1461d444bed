// One checked request into the queue: a revision, encrypted content, the job; and one job per idempotency key, whoever
// asks and whoever dies in between. Knows nothing of documents and of what a caller's object looks like.
import { SealdexError, type Code } from '../errors.ts';
import { putContent, type ContentHeader, type IntakeDeps, type PutContent } from '../intake.ts';
import { newJobId, type JobData } from '../jobs.ts';
import type { JobQueue } from '../queue/queues.ts';
import type { Marker } from '../queue/stamp.ts';
import type { JobState, JobStatus } from '../queue/whereabouts.ts';
import { isReplyError } from '../redis.ts';
import type { Tenant, Tenants } from '../tenants.ts';
import type { CheckedRequest } from './request.ts';

export type { JobState, JobStatus } from '../queue/whereabouts.ts';

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
}

/** `revision` is asked for only by a request without an idempotency key: a key's marker has one of its own. */
export async function enqueue(
  deps: EnqueueDeps,
  request: CheckedRequest,
  revision: () => Promise<number>,
): Promise<EnqueueResult> {
  const tenant = await deps.tenants.get(request.tenant);
  if (request.idempotencyKey !== undefined) return enqueueOnce(deps, request, request.idempotencyKey, tenant);
  const job = { id: newJobId(), revision: await revision() };
  await add(deps, request, job, await encrypt(deps, request, job, tenant));
  return { status: 'queued', jobId: job.id, revision: job.revision };
}

/** Of all who ask with one key, one is answered `queued`: who confirms the marker. */
async function enqueueOnce(
  deps: EnqueueDeps,
  request: CheckedRequest,
  idempotencyKey: string,
  tenant: Tenant,
): Promise<EnqueueResult> {
  const { queue } = deps;
  const id = newJobId({ tenant: request.tenant, corpus: request.corpus, kind: 'index', idempotencyKey });
  const marker = await queue.mark(id);
  if (isKnown(marker)) return duplicate(queue, id, marker);
  // Who made the marker may have died before the job was added, or be about to add it: one of the adds wins.
  const isOthers = marker.kind === 'unconfirmed';
  const before = isOthers ? await queue.data(id) : undefined;
  if (before) return duplicate(queue, id, { ...marker, revision: before.revision });
  const job = { id, revision: marker.revision };
  const put = await encrypt(deps, request, job, tenant);
  const now = isOthers ? await queue.mark(id) : marker;
  if (isKnown(now)) {
    // The job came and went while we encrypted: a second one would do its work again.
    await takeBack(put);
    return duplicate(queue, id, now);
  }
  await add(deps, request, job, put);
  const standing = await queue.data(id);
  if (standing && !isSame(standing.content, put.content)) {
    await takeBack(put);
    return duplicate(queue, id, { ...marker, revision: standing.revision });
  }
  const isFirst = await queue.confirm(id);
  if (!standing && (await isUnneeded(queue, id, put))) await takeBack(put);
  return isFirst ? { status: 'queued', jobId: id, revision: marker.revision } : duplicateOfAdded(queue, id, marker);
}

/**
 * The answer to who added a job and was not the first to confirm it: somebody else was, or the marker is gone.
 * @throws SealdexError `REDIS_FAILED` when the job is gone with it: Redis was flushed or failed over in between. To answer
 * `duplicate` would lose the document; who repeats the request queues it.
 */
async function duplicateOfAdded(queue: JobQueue, id: string, marker: Marker): Promise<EnqueueResult> {
  const answer = await duplicate(queue, id, marker);
  if (answer.status === 'queued' || answer.state !== 'unknown') return answer;
  const now = await queue.mark(id);
  if (!isKnown(now)) throw new SealdexError('REDIS_FAILED', undefined, { reason: 'JobGone' });
  return duplicate(queue, id, now);
}

/** An end that the marker tells of says as much as a confirmation: who added the job died before confirming. */
const isKnown = ({ kind, state }: Marker): boolean => kind === 'confirmed' || state !== undefined;

const LOOKS = 3;

/** Whether no job needs this content any more: it left the queue before we looked, and was maybe not even the one with ours. */
async function isUnneeded(queue: JobQueue, id: string, put: PutContent): Promise<boolean> {
  for (let look = 0; look < LOOKS; look++) {
    const standing = await queue.data(id);
    if (standing) return !isSame(standing.content, put.content);
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

interface Job {
  readonly id: string;
  readonly revision: number;
}

/** Encrypts the content and puts it where the job can name it. */
function encrypt(
  { intake }: EnqueueDeps,
  { corpus, documentId, ifExists, body }: CheckedRequest,
  { id, revision }: Job,
  tenant: Tenant,
): Promise<PutContent> {
  const header: ContentHeader = {
    v: 1,
    tenant: tenant.tenant,
    corpus,
    job: id,
    kind: 'index',
    revision,
    ifExists,
    documentId,
  };
  return putContent(intake, tenant, header, body);
}

async function add(
  { queue }: EnqueueDeps,
  { tenant, corpus }: CheckedRequest,
  { id, revision }: Job,
  put: PutContent,
): Promise<void> {
  const { object, content } = put;
  try {
    await queue.add(id, { v: 1, kind: 'index', tenant, corpus, revision, object, content });
  } catch (error) {
    // A lost connection leaves open whether the job is in the queue.
    if (!isReplyError(error)) throw error;
    // A first attempt whose answer was lost may have added the job before this one was refused.
    const standing = await queue.data(id);
    if (standing && isSame(standing.content, content)) return;
    await takeBack(put);
    throw error;
  }
}

/** Only for content that no job names. What cannot be removed now the sweep takes. */
const takeBack = (put: PutContent): Promise<void> => put.remove().catch(() => {});

/** As text, since what stands in Redis may have any shape. */
const isSame = (one: JobData['content'], other: PutContent['content']): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

/** Errors that nobody foresaw may quote content: only their name goes on. */
export const asSealdexError = (error: unknown): SealdexError =>
  error instanceof SealdexError
    ? error
    : new SealdexError('INTERNAL', undefined, { reason: error instanceof Error ? error.name : typeof error });
