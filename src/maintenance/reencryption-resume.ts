// Re-encryption resume task: restarts stalled re-encryption of any tenant, after Redis lost its jobs, or after the process that
// changed the key died. Makes one S3 request per tenant, sequentially.
import { SealdexError, type Code } from '../runtime/errors.ts';
import { faultOf } from '../runtime/fault.ts';
import type { Log } from '../runtime/log.ts';
import type { Store } from '../store/store.ts';
import { listTenantNames } from '../store/tenants.ts';
import type { MaintenanceTask } from './scheduler.ts';

export interface ResumeDeps {
  readonly store: Store;
  readonly log: Log;
  /** Starts or continues the tenant's re-encryption if it is due but not running. Returns whether it did. */
  readonly restartStalled: (tenant: string) => Promise<boolean>;
}

const HOUR_MS = 3_600_000;

/** Errors of one tenant: the task continues with the others, and this tenant is retried in an hour. */
const TENANT_ERRORS: ReadonlySet<Code> = new Set(['TENANT_UNKNOWN', 'PLATFORM_TENANTS', 'TENANT_BACKLOG_FULL']);

export function reencryptionResumeTask({ store, log, restartStalled }: ResumeDeps): MaintenanceTask {
  async function isRestarted(tenant: string): Promise<boolean> {
    try {
      return await restartStalled(tenant);
    } catch (error) {
      if (!(error instanceof SealdexError && TENANT_ERRORS.has(error.code))) throw error;
      log.warn({ tenant, ...faultOf(error) }, 'could not check re-encryption');
      return false;
    }
  }
  return {
    name: 'moves',
    everyMs: HOUR_MS,
    async run(signal) {
      for await (const tenant of listTenantNames(store)) {
        signal.throwIfAborted();
        if (await isRestarted(tenant)) log.warn({ tenant }, 'restarted stalled re-encryption');
      }
    },
  };
}
