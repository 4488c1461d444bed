// Records a change of a tenant's file in the audit log, with its result.
import type { AuditEvent, AuditLog } from '../runtime/audit-log.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { TenantFileChange } from './merge.ts';

const operationOf = ({ key, paused, blocked, deleted }: TenantFileChange): string => {
  if (deleted) return 'DeleteTenant';
  if (key) return 'SetTenantKey';
  if (blocked) return blocked.stop ? 'BlockKey' : 'UnblockKey';
  if (paused === undefined) return 'PutTenant';
  return paused ? 'PauseTenant' : 'ResumeTenant';
};

const keyOf = ({ key, kmsKeyArn, blocked }: TenantFileChange): string | undefined =>
  key?.entry.to ?? kmsKeyArn ?? blocked?.arn;

/** The new values, without the reasons that operators wrote. */
const settingsOf = ({ plan, whenKeyShut, keepOriginals, key }: TenantFileChange): AuditEvent['settings'] => {
  const settings = {
    ...(plan === undefined ? {} : { plan }),
    ...(whenKeyShut === undefined ? {} : { whenKeyShut }),
    ...(keepOriginals === undefined ? {} : { keepOriginals }),
    ...(key === undefined ? {} : { formerKey: key.entry.from }),
  };
  return Object.keys(settings).length === 0 ? undefined : settings;
};

/** @throws what the work throws */
export async function audited<T>(
  audit: AuditLog,
  tenant: string,
  change: TenantFileChange,
  work: () => Promise<T>,
): Promise<T> {
  const origin = await audit.origin();
  const write = (result: string): void =>
    audit.write(origin, {
      tenant,
      operation: operationOf(change),
      key: keyOf(change),
      settings: settingsOf(change),
      result,
    });
  try {
    const done = await work();
    write('ok');
    return done;
  } catch (error) {
    write(error instanceof SealdexError ? error.code : 'INTERNAL');
    throw error;
  }
}
