// Audit lines: parses lines of the audit log, which may be mixed with lines of the worker's log.
import { z } from 'zod';

/** A KMS call that was sent; each retry is a call of its own. */
export interface AuditCall {
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly tenant: string;
  readonly operation: string;
  readonly key: string;
  /** The tenant in the encryption context, if it differs from `tenant`. */
  readonly contextTenant?: string | undefined;
  readonly period?: string | undefined;
  readonly purpose?: string | undefined;
  /** `ok`, the AWS error name, or `unanswered` for a call without a response. */
  readonly result: string;
  readonly requestId?: string | undefined;
  readonly process: string;
  /** What caused the call: a job, a command, or an activity of the process. */
  readonly job?: string | undefined;
  readonly command?: string | undefined;
  readonly activity?: string | undefined;
  readonly identity?: string | undefined;
}

export const NO_RESPONSE = 'unanswered';

export type AuditLine =
  | { readonly kind: 'call'; readonly call: AuditCall }
  /** A change of a tenant's settings, which CloudTrail does not record. */
  | { readonly kind: 'change'; readonly tenant: string }
  /** A line of the worker's log. */
  | { readonly kind: 'other' }
  /** An incomplete line, or one of an unknown format. */
  | { readonly kind: 'unreadable' };

const text = z.string().min(1).max(2048);
const time = z.iso.datetime().transform((at) => Date.parse(at));

const CHANGES = [
  'PutTenant',
  'SetTenantKey',
  'BlockKey',
  'UnblockKey',
  'PauseTenant',
  'ResumeTenant',
  'DeleteTenant',
  'CancelJobs',
];

const change = z.object({ time, tenant: text, operation: z.enum(CHANGES) });

const call: z.ZodType<AuditCall> = z
  .object({
    time,
    tenant: text,
    operation: text,
    key: text,
    contextTenant: text.optional(),
    period: text.optional(),
    purpose: text.optional(),
    result: text,
    requestId: text.optional(),
    process: text,
    job: text.optional(),
    command: text.optional(),
    activity: text.optional(),
    identity: text.optional(),
  })
  .transform(({ time: at, ...rest }) => ({ at, ...rest }));

const VERSION = 1;

const OTHER: AuditLine = Object.freeze({ kind: 'other' });
const UNREADABLE: AuditLine = Object.freeze({ kind: 'unreadable' });

export function readAuditLine(line: string): AuditLine {
  if (line.trim() === '') return OTHER;
  const value = parsed(line);
  if (value === undefined) return UNREADABLE;
  if (typeof value !== 'object' || value === null || !('audit' in value)) return OTHER;
  if (value.audit !== VERSION) return UNREADABLE;
  const changed = change.safeParse(value);
  if (changed.success) return { kind: 'change', tenant: changed.data.tenant };
  const read = call.safeParse(value);
  return read.success ? { kind: 'call', call: read.data } : UNREADABLE;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
