// Cancellation of a tenant's jobs by the operator, with a line in the audit log. Removes the content in S3 of canceled jobs, since
// the queue must not import S3.
import type { Canceled, CancelableJobs, CancelFilter, CancelOptions } from '../queue/bull/cancel.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { AuditLog } from '../runtime/audit-log.ts';
import { SealdexError } from '../runtime/errors.ts';
import { knownFields, type FieldNames } from '../runtime/known-fields.ts';
import { checkName } from '../runtime/names.ts';
import { removeIntakeOfAnyForm } from '../store/intake.ts';
import type { Store } from '../store/store.ts';

export type { Canceled, CancelableJobs, CancelableKind, CancelFilter, CancelOptions } from '../queue/bull/cancel.ts';

export interface CancelOperator {
  /**
   * Number of jobs that `cancelJobs` would cancel. Reads all jobs of the installation and changes none.
   * @throws SealdexError `DOCUMENT_INVALID` with field `tenant` or `corpus`; `REDIS_FAILED`
   */
  countCancelable(filter: CancelFilter, signal?: AbortSignal): Promise<CancelableJobs>;
  /**
   * Deletes jobs that wait, are retried or are parked, with their content. They become `dead` with `JOB_CANCELED`, without a dead
   * letter. Jobs that a worker is running, jobs that are queued later, and stored documents are not affected.
   * @throws SealdexError `DOCUMENT_INVALID` with field `tenant` or `corpus`; `REDIS_FAILED`: call it again for the rest
   */
  cancelJobs(filter: CancelFilter, options?: CancelOptions): Promise<Canceled>;
}

interface CancelDeps {
  readonly queue: Pick<JobQueue, 'countCancelable' | 'cancel'>;
  readonly store: Store;
  readonly audit: AuditLog;
}

const FILTER: FieldNames<CancelFilter> = { tenant: true, corpus: true, kind: true, state: true, queuedBefore: true };
const OPTIONS: FieldNames<CancelOptions> = { signal: true, onProgress: true };

/** @throws SealdexError `DOCUMENT_INVALID` naming the field */
function checkFilter(filter: CancelFilter): void {
  const { tenant, corpus } = knownFields(filter, FILTER);
  checkName(tenant, 'tenant');
  if (corpus !== undefined) checkName(corpus, 'corpus');
}

export function createCancelOperator({ queue, store, audit }: CancelDeps): CancelOperator {
  return {
    async countCancelable(filter, signal) {
      checkFilter(filter);
      return queue.countCancelable(filter, signal);
    },
    async cancelJobs(filter, options = {}) {
      checkFilter(filter);
      knownFields(options, OPTIONS);
      const origin = await audit.origin();
      let canceled = 0;
      const onProgress = (counts: Canceled): void => {
        ({ canceled } = counts);
        options.onProgress?.(counts);
      };
      const { tenant, corpus, kind, state } = filter;
      const write = (result: string): void =>
        audit.write(origin, { tenant, operation: 'CancelJobs', settings: { corpus, kind, state, canceled }, result });
      try {
        const counts = await queue.cancel(filter, (place) => removeIntakeOfAnyForm(store, place), {
          ...options,
          onProgress,
        });
        write('ok');
        return counts;
      } catch (error) {
        write(error instanceof SealdexError ? error.code : 'INTERNAL');
        throw error;
      }
    },
  };
}
