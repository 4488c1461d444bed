// The producer: what an indexing API calls to enqueue documents and to ask what became of them.
// Content leaves it only encrypted: under the tenant's data key, or under the platform key while the tenant's is unusable.
// Every answer comes within about a second, and a second more for each MB of content that is sent to S3.
import type { Clock } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { SealdexError } from '../runtime/errors.ts';
import { enqueueBulk, type BulkResult } from './bulk.ts';
import type { JobStatus } from '../queue/bull/job-lookup.ts';
import { asSealdexError, enqueue, prepare, stampAt } from './enqueue.ts';
import type { EnqueueResult } from './enqueue-once.ts';
import type { EnqueueDeps } from './make-job.ts';
import { checkDelete, checkRequest, type CheckedRequest, type DeleteRequest, type IndexRequest } from './request.ts';
import { checkUpload, type UploadRequest } from './upload.ts';

export type { JobState, JobStatus } from '../queue/bull/job-lookup.ts';
export type { EnqueueResult } from './enqueue-once.ts';
export type { DeleteRequest, IndexRequest } from './request.ts';
export type { UploadRequest } from './upload.ts';

/** Enqueues documents, deletions and files, and returns the status of jobs. Disposing of it closes its connections. */
export interface Producer extends AsyncDisposable {
  /**
   * Checks, encrypts and queues one document. While the tenant's KMS key is unusable or the tenant is paused, the content
   * waits under the platform key, and the job is parked. Repeat the call with the same `idempotencyKey` when it fails:
   * whatever the failed call did, there is one job.
   * @throws SealdexError, nothing being queued then but for `REDIS_FAILED`, which may have lost the answer only:
   * - `DOCUMENT_INVALID` with `field` when the request has a fault; `TENANT_UNKNOWN`, `TENANT_KEY_INVALID`
   * - `IDEMPOTENCY_CONFLICT` when the idempotency key was used for a different request, whose job stays as it is
   * - `KEY_...` or `TENANT_PAUSED` with `since` when the tenant's `whenKeyShut` is `refuse`, or when the operator has
   *   blocked the platform key for it; otherwise never
   * - `GATE_UNKNOWN` when whether the key may be used could not be read from Redis for 5 s
   * - `PLATFORM_...` when our own credentials, platform key, bucket or the tenant's file are at fault
   * - `KMS_...`, `STORE_FAILED`, `REDIS_FAILED` within about a second of an outage, and up to a second more for each MB
   *   while large content is sent to S3; `CLOCK_SKEW`
   * - `TENANT_BACKLOG_FULL` and `QUEUE_FULL` with `retryAfterMs` when the tenant has as many jobs waiting, parked and dead
   *   as it may have, or Redis is three quarters full
   */
  enqueueIndex(request: IndexRequest): Promise<EnqueueResult>;
  /**
   * One result or error per request, in their order; a faulty one leaves the others alone. At most 100,000; of two
   * requests for one document the later wins. After 16 failures in a row by an outage or for want of room the rest is
   * not tried: of a tenant, or of all when several tenants met it; its requests get the error that the others got.
   * @throws SealdexError `DOCUMENT_INVALID` when `requests` is no such array
   */
  enqueueIndexBulk(requests: readonly IndexRequest[]): Promise<(EnqueueResult | SealdexError)[]>;
  /**
   * Queues the deletion of a document, whether it exists or not. It wins over every job for the document that was enqueued
   * before it, however late that one runs; a document that is enqueued after it is a new one. Does not
   * need the tenant's KMS key.
   * @throws SealdexError as `enqueueIndex`, but never `KEY_...`, `TENANT_PAUSED` or `GATE_UNKNOWN`, and `KMS_...` only with an
   * idempotency key
   */
  enqueueDelete(request: DeleteRequest): Promise<EnqueueResult>;
  /**
   * Encrypts and queues one file. A stream is sent on as it comes when `length` is given, and held in memory, encrypted,
   * when not; it is destroyed when the request is refused. A request with a known idempotency key is read too, to compare its
   * file with the first one. The answer comes when the stream has ended; a stream may stand still for 15 s, and take 10
   * minutes.
   * @throws SealdexError as `enqueueIndex`, and
   * - `FILE_TOO_LARGE` with field `body`, at once by `length`, else when so much was read
   * - `DOCUMENT_INVALID` with field `body` when it is empty, fails or stands still, with field `length` when another number
   *   of bytes came
   */
  enqueueUpload(request: UploadRequest): Promise<EnqueueResult>;
  /** What became of a job: `unknown` for one that never was or that ended more than an hour (a setting) ago. */
  status(jobId: string): Promise<JobStatus>;
}

export interface ProducerDeps extends EnqueueDeps {
  readonly config: Config;
  readonly clock: Clock;
}

export function createProducerFrom(deps: ProducerDeps): Omit<Producer, typeof Symbol.asyncDispose> {
  const { config, clock, queue } = deps;
  const enqueueOne = async (check: () => CheckedRequest): Promise<EnqueueResult> => {
    let checked: CheckedRequest | undefined;
    try {
      checked = check();
      const prepared = await prepare(deps, checked);
      return await enqueue(deps, prepared, async () => stampAt(await queue.reserve([prepared.share]), 0));
    } catch (error) {
      throw asSealdexError(error);
    } finally {
      if (checked?.kind === 'upload') checked.discard();
    }
  };
  return {
    enqueueIndex: (request) => enqueueOne(() => checkRequest(request, config)),
    enqueueIndexBulk: (requests): Promise<BulkResult[]> => enqueueBulk(deps, config, clock, requests),
    enqueueDelete: (request) => enqueueOne(() => checkDelete(request)),
    enqueueUpload: (request) => enqueueOne(() => checkUpload(request, config, clock)),
    status: (jobId) => queue.statusSince(jobId),
  };
}
