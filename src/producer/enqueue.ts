// One checked request into the queue: a revision, encrypted content, the job; and one job per idempotency key, whoever
// asks and whoever dies in between. Knows nothing of documents and of what a caller's object looks like.
import { isCode, SealdexError, type Code } from '../errors.ts';
import { putContent, type ContentHeader, type IntakeDeps, type PutContent } from '../intake.ts';
import { jobId, type JobData } from '../jobs.ts';
import type { JobQueue, JobState, JobStatus } from '../queue/queues.ts';
import type { Marker } from '../queue/stamp.ts';
import type { Tenants } from '../tenants.ts';
import type { CheckedRequest } from './request.ts';

export type { JobState, JobStatus } from '../queue/queues.ts';

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
  const { keyArn } = await deps.tenants.get(request.tenant);
  if (request.idempotencyKey !== undefined) return enqueueOnce(deps, request, request.idempotencyKey, keyArn);
  const job = { id: jobId(), revision: await revision() };
  await add(deps, request, keyArn, job);
  return { status: 'queued', jobId: job.id, revision: job.revision };
}

/** Of all who ask with one key, one is answered `queued`: who confirms the marker. */
async function enqueueOnce(
  deps: EnqueueDeps,
  request: CheckedRequest,
  idempotencyKey: string,
  keyArn: string,
): Promise<EnqueueResult> {
  const { queue } = deps;
  const id = jobId({ tenant: request.tenant, corpus: request.corpus, kind: 'index', idempotencyKey });
  const marker = await queue.mark(id);
  // An end that the marker tells of is a confirmation too: who added the job died before confirming.
  if (marker.kind === 'confirmed' || marker.state !== undefined) return duplicate(queue, id, marker);
  if (marker.kind === 'unconfirmed') {
    const standing = await queue.data(id);
    if (standing) return duplicate(queue, id, { ...marker, revision: standing.revision });
  }
  // Who made the marker may have died before the job was added, or be about to add it: one of the two adds wins.
  const put = await add(deps, request, keyArn, { id, revision: marker.revision });
  const standing = await queue.data(id);
  if (standing && !isSame(standing.content, put.content)) {
    await takeBack(put);
    return duplicate(queue, id, { ...marker, revision: standing.revision });
  }
  const isFirst = await queue.confirm(id);
  if (!standing) await takeBackIfEnded(queue, id, put);
  return isFirst ? { status: 'queued', jobId: id, revision: marker.revision } : duplicate(queue, id, marker);
}

/** The job has left the queue before we looked, and was maybe another's. If it is done, nobody needs the content any more. */
async function takeBackIfEnded(queue: JobQueue, id: string, put: PutContent): Promise<void> {
  const { state } = await queue.status(id);
  if (state === 'done' || state === 'superseded') await takeBack(put);
}

async function duplicate(queue: JobQueue, id: string, marker: Marker): Promise<EnqueueResult> {
  const now: JobStatus = await queue.status(id);
  const state = now.state === 'unknown' ? ((marker.state as JobState | undefined) ?? 'unknown') : now.state;
  const code = now.code ?? (marker.code !== undefined && isCode(marker.code) ? marker.code : undefined);
  return { status: 'duplicate', jobId: id, revision: marker.revision, state, ...(code === undefined ? {} : { code }) };
}

/** Encrypts the content, puts it where the job can name it, and adds the job. */
async function add(
  { queue, intake }: EnqueueDeps,
  { tenant, corpus, documentId, ifExists, body }: CheckedRequest,
  keyArn: string,
  { id, revision }: { id: string; revision: number },
): Promise<PutContent> {
  const header: ContentHeader = { v: 1, tenant, corpus, job: id, kind: 'index', revision, ifExists, documentId };
  const put = await putContent(intake, keyArn, header, body);
  const { object, content } = put;
  try {
    await queue.add(id, { v: 1, kind: 'index', tenant, corpus, revision, object, content });
  } catch (error) {
    if (!isRefused(error)) throw error;
    // A first attempt whose answer was lost may have added the job before this one was refused.
    const standing = await queue.data(id);
    if (!standing || !isSame(standing.content, content)) {
      await takeBack(put);
      throw error;
    }
  }
  return put;
}

/** Redis answered with an error; a lost connection leaves open whether the job is in the queue. */
const isRefused = (error: unknown): boolean => error instanceof SealdexError && error.reason === 'ReplyError';

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
