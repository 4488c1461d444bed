// A change of a tenant's file, put on the audit log with what it came to.
import type { AuditLog } from '../audit-log.ts';
import { SealdexError } from '../errors.ts';
import type { TenantChange } from './merge.ts';

/** @throws what the work throws */
export async function audited<T>(
  audit: AuditLog,
  tenant: string,
  change: TenantChange,
  work: () => Promise<T>,
): Promise<T> {
  const who = await audit.who();
  const write = (result: string): void =>
    audit.write(who, { tenant, operation: 'PutTenant', key: keyOf(change), settings: settingsOf(change), result });
  try {
    const done = await work();
    write('ok');
    return done;
  } catch (error) {
    write(error instanceof SealdexError ? error.code : 'INTERNAL');
    throw error;
  }
}

const keyOf = ({ key, kmsKeyArn, blocked }: TenantChange): string | undefined =>
  key?.entry.to ?? kmsKeyArn ?? blocked?.arn;

/** What is to be different, without the reasons that people wrote. */
const settingsOf = ({ plan, whenKeyShut, keepOriginals, ...change }: TenantChange): Record<string, unknown> => {
  const { key, paused, blocked, deleted } = change;
  return {
    ...(plan === undefined ? {} : { plan }),
    ...(whenKeyShut === undefined ? {} : { whenKeyShut }),
    ...(keepOriginals === undefined ? {} : { keepOriginals }),
    ...(key === undefined ? {} : { formerKey: key.entry.from }),
    ...(paused === undefined ? {} : { paused: paused !== null }),
    ...(blocked === undefined ? {} : { blocked: blocked.word !== null }),
    ...(deleted === undefined ? {} : { deleted: true }),
  };
};
