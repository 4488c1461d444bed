// Creates the job of a checked request: encrypts its content, adds it to the queue, and removes the content if the job is not
// needed. Must not import documents code.
import { withAuditContext } from '../runtime/audit-log.ts';
import type { FingerprintKey } from '../intake/fingerprint-key.ts';
import { putContent, putDeletion, putFile, type ContentHeader, type IntakeDeps } from '../intake/intake.ts';
import { isOfDocument, type DocumentJobData } from '../jobs/jobs.ts';
import type { IntakePlace } from '../runtime/intake-key.ts';
import { objectName } from '../runtime/names.ts';
import type { ReservationRequest } from '../queue/backlog/backlog.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { Reservation } from '../queue/fair-share/reservation.ts';
import { isReplyError } from '../runtime/redis-errors.ts';
import type { Tenant, Tenants } from '../tenants/tenants.ts';
import type { CheckedRequest } from './request.ts';

export interface EnqueueDeps {
  readonly queue: JobQueue;
  readonly tenants: Tenants;
  readonly intake: IntakeDeps;
  readonly fingerprintKey: FingerprintKey;
}

/** A request that needs a reservation next: its tenant exists, and Redis had memory for it. */
export interface PreparedRequest {
  readonly request: CheckedRequest;
  readonly owner: Tenant;
  /** Its share of the tenant's backlog. */
  readonly share: ReservationRequest;
}

export interface ReservedJob extends Reservation {
  readonly id: string;
  readonly hasMarker: boolean;
}

/** A job that can be added to the queue. */
export interface MadeJob {
  readonly data: DocumentJobData;
  /** Bytes of content under the platform key instead of the tenant's own. */
  readonly platformKeyBytes?: number;
  /** Place of the job's content in S3, if it has any there. */
  readonly place?: IntakePlace;
  /** Removes the job's content from S3. Only for a job that is not in the queue. */
  remove(): Promise<void>;
}

/** Only for content without a job. If it fails, the content is removed later: by the sweep if Redis fails too. */
export const removeContent = (queue: JobQueue, made: MadeJob): Promise<void> =>
  made.remove().catch(() => made.place && queue.addRemoval(made.place).catch(() => {}));

/** Only for a job that is certainly not in the queue. If it fails, the next recount corrects the backlog. */
export const leaveBacklog = (
  queue: JobQueue,
  id: string,
  share: ReservationRequest,
  hasMarker: boolean,
): Promise<void> => queue.takeBack(id, share, hasMarker).catch(() => {});

/** Two messages are never equal, so content identifies a job; a job without content is identified by its revision. */
const identity = (data: DocumentJobData): string =>
  JSON.stringify([data.revision, 'content' in data ? data.content : undefined]);

/** Compares text, since an entry in Redis may have any shape. */
export const isSame = (existing: DocumentJobData, made: DocumentJobData): boolean =>
  identity(existing) === identity(made);

/** Encrypts the content, if any, and stores it in the job or in S3. */
export async function make(
  { intake, queue }: EnqueueDeps,
  { request, owner, share }: PreparedRequest,
  { id, revision, hasMarker }: ReservedJob,
): Promise<MadeJob> {
  const { tenant, corpus, documentId, kind } = request;
  const about = { v: 1, tenant, corpus, revision } as const;
  try {
    if (kind === 'delete') {
      const object = objectName(documentId);
      const data = { ...about, kind, object } as const;
      // The operator has chosen that every job can be recovered from S3.
      if (intake.inlineBytes > 0) return { data, remove: async () => {} };
      const { content, ...put } = await putDeletion(intake, { tenant, job: id, corpus, revision, documentId });
      return { ...put, data: { ...data, content } };
    }
    const { ifExists } = request;
    const header: ContentHeader = { v: 1, tenant, corpus, job: id, kind, revision, ifExists, documentId };
    if (kind === 'upload') {
      const file = { ...header, ...request.about };
      const { object, content, ...rest } = await withAuditContext({ job: id }, () =>
        putFile(intake, owner, file, request.file),
      );
      return { ...rest, data: { ...about, kind, object, content } };
    }
    const { object, content, ...rest } = await withAuditContext({ job: id }, () =>
      putContent(intake, owner, header, request.body),
    );
    return { ...rest, data: { ...about, kind, object, content } };
  } catch (error) {
    await leaveBacklog(queue, id, share, hasMarker);
    throw error;
  }
}

export async function add(
  { queue }: EnqueueDeps,
  { share }: PreparedRequest,
  { id, priority, hasMarker }: ReservedJob,
  made: MadeJob,
): Promise<void> {
  try {
    await queue.add(id, made.data, priority, { platformKeyBytes: made.platformKeyBytes });
  } catch (error) {
    // After a lost connection, the job may or may not be in the queue.
    if (!isReplyError(error)) throw error;
    // A first try whose response was lost may have added the job before this one was rejected.
    const existing = await queue.data(id);
    if (isOfDocument(existing) && isSame(existing, made.data)) return;
    await Promise.all([removeContent(queue, made), leaveBacklog(queue, id, share, hasMarker)]);
    throw error;
  }
}
