// What a line of the audit stream says, read back. The stream may stand in the worker's log, among other lines.
// Who writes it, and into which file, is not known here.
import { z } from 'zod';

/** A call to KMS that was sent: each try of it is a call of its own. */
export interface AuditCall {
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly tenant: string;
  readonly operation: string;
  readonly key: string;
  /** The tenant in the encryption context, where it is another one. */
  readonly contextTenant?: string | undefined;
  readonly period?: string | undefined;
  readonly purpose?: string | undefined;
  /** `ok`, the name of AWS' error, or `unanswered`. */
  readonly result: string;
  readonly requestId?: string | undefined;
  readonly process: string;
  /** What it was for: a job, a command, or something that a process does by itself. */
  readonly job?: string | undefined;
  readonly command?: string | undefined;
  readonly activity?: string | undefined;
  readonly identity?: string | undefined;
}

export const NO_RESPONSE = 'unanswered';

export type AuditLine =
  | { readonly kind: 'call'; readonly call: AuditCall }
  /** A change of a tenant's settings, which is no business of CloudTrail. */
  | { readonly kind: 'change'; readonly tenant: string }
  /** Of the worker's log. */
  | { readonly kind: 'other' }
  /** Torn, or of a form that is not known here. */
  | { readonly kind: 'unreadable' };

const text = z.string().min(1).max(2048);
const time = z.iso.datetime().transform((at) => Date.parse(at));

const CHANGES = ['PutTenant', 'SetTenantKey', 'BlockKey', 'UnblockKey', 'PauseTenant', 'ResumeTenant', 'DeleteTenant'];

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
