// Producer: enqueues documents and returns the status of jobs. Content leaves it only encrypted: under the tenant's data key, or
// under the platform key while the tenant's key is unusable. Every call ends within about a second, plus one second per MB of
// content that is sent to S3.
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { SealdexError } from '../runtime/errors.ts';
import { enqueueBulk, type BulkResult } from './bulk.ts';
import type { JobStatus } from '../queue/bull/job-lookup.ts';
import { asSealdexError, enqueue, prepare, reservationAt } from './enqueue.ts';
import type { EnqueueResult } from './enqueue-once.ts';
import type { EnqueueDeps } from './make-job.ts';
import { checkDelete, checkRequest, type CheckedRequest, type DeleteRequest, type IndexRequest } from './request.ts';
import { checkUpload, type UploadRequest } from './upload.ts';

export type { JobState, JobStatus } from '../queue/bull/job-lookup.ts';
export type { EnqueueResult } from './enqueue-once.ts';
export type { DeleteRequest, IndexRequest } from './request.ts';
export type { UploadRequest } from './upload.ts';

/**
 * Enqueues documents, deletions and files, and returns the status of jobs. Disposing of it closes its connections; later calls
 * throw `INTERNAL` with the reason `Closed`.
 */
export interface Producer extends AsyncDisposable {
  /**
   * Checks, encrypts and queues one document. While the tenant's KMS key is unusable or the tenant is paused, the content waits
   * under the platform key, and the job is parked. Retry failed calls with the same `idempotencyKey`: at most one job is created.
   * @throws SealdexError. Nothing is queued then, except for `REDIS_FAILED`, where only the response may be lost:
   * - `DOCUMENT_INVALID` with `field` if the request is invalid; `TENANT_UNKNOWN`, `TENANT_KEY_INVALID`
   * - `IDEMPOTENCY_CONFLICT` if the idempotency key was used for a different request, whose job is unchanged
   * - `KEY_...` or `TENANT_PAUSED` with `since` only if the tenant's `whenKeyShut` is `refuse`, or if an operator blocked the
   *   platform key for it
   * - `GATE_UNKNOWN` if the gate could not be read from Redis for 5 s
   * - `PLATFORM_...` if the credentials, platform key, bucket or the tenant's file cannot be used
   * - `KMS_...`, `STORE_FAILED`, `REDIS_FAILED` within about a second of an outage, plus one second per MB while large content is
   *   sent to S3; `CLOCK_SKEW`
   * - `TENANT_BACKLOG_FULL` and `QUEUE_FULL` with `retryAfterMs` if the tenant has reached its limit of waiting, parked and dead
   *   jobs, or Redis has used 75% of its memory
   */
  enqueueIndex(request: IndexRequest): Promise<EnqueueResult>;
  /**
   * Returns one result or error per request, in their order; an invalid one does not affect the others. At most 100,000; of two
   * requests for one document, the later wins. After 16 failures in a row by an outage or a full queue, the rest is skipped: of
   * one tenant, or of all if several tenants failed. Skipped requests get the error of the others.
   * @throws SealdexError `DOCUMENT_INVALID` if `requests` is not such an array
   */
  enqueueIndexBulk(requests: readonly IndexRequest[]): Promise<(EnqueueResult | SealdexError)[]>;
  /**
   * Queues the deletion of a document, even if it does not exist. It supersedes every job for the document that was enqueued
   * before, even if that job runs later; a document that is enqueued afterwards is stored. Does not need the tenant's KMS key.
   * @throws SealdexError as `enqueueIndex`, but never `KEY_...`, `TENANT_PAUSED` or `GATE_UNKNOWN`, and `KMS_...` only with an
   * idempotency key
   */
  enqueueDelete(request: DeleteRequest): Promise<EnqueueResult>;
  /**
   * Encrypts and queues one file. With `length`, a stream is sent as it arrives; without, it is held in memory, encrypted. It is
   * destroyed if the request is rejected. With a known idempotency key, the file is read too and compared with the first one.
   * Resolves after the end of the stream, which may be idle for 15 s and take 10 minutes.
   * @throws SealdexError as `enqueueIndex`, and
   * - `FILE_TOO_LARGE` with field `body`: immediately with `length`, otherwise when the limit is exceeded
   * - `DOCUMENT_INVALID` with field `body` if the stream is empty, fails or stalls; with field `length` if the number of bytes
   *   differs
   */
  enqueueUpload(request: UploadRequest): Promise<EnqueueResult>;
  /** Returns the status of a job: `unknown` if it never existed or finished more than an hour (a setting) ago. */
  status(jobId: string): Promise<JobStatus>;
}

export interface ProducerDeps extends EnqueueDeps {
  readonly config: Config;
  readonly clock: Clock;
}

/** `ensureOpen` throws after the producer was closed. */
export function createProducerFrom(
  deps: ProducerDeps,
  ensureOpen: () => void,
): Omit<Producer, typeof Symbol.asyncDispose> {
  const { config, clock, queue } = deps;
  const enqueueOne = async (check: () => CheckedRequest): Promise<EnqueueResult> => {
    let checked: CheckedRequest | undefined;
    try {
      checked = check();
      ensureOpen();
      const prepared = await prepare(deps, checked);
      return await enqueue(deps, prepared, async () => reservationAt(await queue.reserve([prepared.share]), 0));
    } catch (error) {
      throw asSealdexError(error);
    } finally {
      if (checked?.kind === 'upload') checked.discard();
    }
  };
  return {
    enqueueIndex: (request) => enqueueOne(() => checkRequest(request, config)),
    async enqueueIndexBulk(requests): Promise<BulkResult[]> {
      ensureOpen();
      return enqueueBulk(deps, config, clock, requests);
    },
    enqueueDelete: (request) => enqueueOne(() => checkDelete(request)),
    enqueueUpload: (request) => enqueueOne(() => checkUpload(request, config, clock)),
    async status(jobId) {
      ensureOpen();
      return queue.statusSince(jobId);
    },
  };
}
