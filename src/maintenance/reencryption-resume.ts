// The moves chore: goes over all tenants, so that no move of a tenant's objects to its current KMS key ends because Redis has lost
// its jobs, or because whoever changed the key died. One request to S3 a tenant, one after the other.
import { SealdexError, type Code } from '../runtime/errors.ts';
import { faultOf } from '../runtime/fault.ts';
import type { Log } from '../runtime/log.ts';
import type { Store } from '../store/store.ts';
import { listTenantNames } from '../store/tenants.ts';
import type { MaintenanceTask } from './scheduler.ts';

export interface ResumeDeps {
  readonly store: Store;
  readonly log: Log;
  /** Begins the tenant's move, or lets it go on, if it has to move and does not. Answers whether that was so. */
  readonly restartStalled: (tenant: string) => Promise<boolean>;
}

const HOUR_MS = 3_600_000;

/** One tenant's own: the others come all the same, and this one within an hour. */
const ITS_OWN: ReadonlySet<Code> = new Set(['TENANT_UNKNOWN', 'PLATFORM_TENANTS', 'TENANT_BACKLOG_FULL']);

export function reencryptionResumeTask({ store, log, restartStalled }: ResumeDeps): MaintenanceTask {
  async function isMended(tenant: string): Promise<boolean> {
    try {
      return await restartStalled(tenant);
    } catch (error) {
      if (!(error instanceof SealdexError && ITS_OWN.has(error.code))) throw error;
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
        if (await isMended(tenant)) log.warn({ tenant }, 'restarted stalled re-encryption');
      }
    },
  };
}
