// Audit log: writes one line of JSON per KMS call with a tenant's key and per change of a tenant's settings, before the result is
// used. Lines contain no content, key bytes or document ids.
import { AsyncLocalStorage } from 'node:async_hooks';
import { accessSync, closeSync, constants, openSync, statSync, writeSync, type Stats } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Clock } from './clock.ts';
import { SealdexError } from './errors.ts';

/** Reason for a call or a change: a job, a command, or an activity of the process. */
export interface AuditContext {
  /** Id of the job. */
  readonly job?: string;
  /** Command of the command line, for example `tenants set-key`. */
  readonly command?: string;
  /** Activity without a job or a command; `read` is a call of a reader. */
  readonly activity?: 'revocation check' | 'probe' | 'read';
}

export interface AuditOrigin extends AuditContext {
  /** Host name and process id, for example `web-1/4711`. */
  readonly process: string;
  /** ARN of the caller who runs a command; `unknown` if STS does not return it. */
  readonly identity?: string;
  /** Writes the line to standard error, since standard output belongs to the command. Not part of the line. */
  readonly isInCommand?: boolean;
}

/** A call to KMS or a change of a tenant, without time and origin. */
export interface AuditEvent {
  /** Name of the tenant. */
  readonly tenant: string;
  /** KMS operation, for example `Decrypt`, or the change, for example `PutTenant`. */
  readonly operation: string;
  /** ARN of the KMS key; `platform` if a tenant returns to the platform key. */
  readonly key?: string | undefined;
  /** Tenant in the encryption context, if it is not `tenant`: a key check also tests other tenants. */
  readonly contextTenant?: string | undefined;
  /** Period of the data key in the encryption context: the start of its hour, for example `2026-11-29T14:16Z`. */
  readonly period?: string | undefined;
  /** Purpose of the data key in the encryption context. */
  readonly purpose?: string | undefined;
  /** For a change of a tenant: the new values. For `CancelJobs`: the filter, and the number of jobs as `canceled`. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** `ok`; for a call the name of the AWS error, or `unanswered` without a response; for a change an error code. */
  readonly result: string;
  /** Request id of AWS, as in CloudTrail. */
  readonly requestId?: string | undefined;
}

/** One line of the audit log as an object. It holds no content, no document id and no key. */
export interface AuditRecord extends AuditEvent, Omit<AuditOrigin, 'isInCommand'> {
  /** Version of the format. */
  readonly audit: 1;
  /** Time at which the call or the change ended, ISO 8601 in UTC. */
  readonly time: string;
}

/**
 * Receives each audit record, before the result of the call is used. Sealdex does not wait for the promise. If the sink throws or
 * rejects, the call continues, the line is written to standard error, and the failure is counted.
 */
export type AuditSink = (record: AuditRecord) => void | Promise<void>;

export interface AuditLog {
  /** Calls STS first if the caller is a command, for at most 3 s. Call it before a call whose deadline it would use up. */
  origin(): Promise<AuditOrigin>;
  /** Never throws: if a line cannot be written, it goes to standard error and is counted. */
  write(origin: AuditOrigin, event: AuditEvent): void;
  /** Lines that could not be written. */
  failures(): number;
}

export interface AuditLogDeps {
  /** `stdout`, the path of a file, or a sink of the host application. */
  readonly to: string | AuditSink;
  readonly clock: Clock;
  readonly identity: () => Promise<string>;
}

const askers = new AsyncLocalStorage<{ readonly asker: AuditContext; readonly isInCommand: boolean }>();

/** Runs `work` with this context added to the current one: KMS calls and changes are logged with both. */
export const withAuditContext = <T>(asker: AuditContext, work: () => T): T =>
  withOnlyAuditContext({ ...askers.getStore()?.asker, ...asker }, work);

/** Runs `work` with this context alone, so that work on one tenant's key is not logged under another tenant's job. */
export function withOnlyAuditContext<T>(asker: AuditContext, work: () => T): T {
  const isInCommand = asker.command !== undefined || askers.getStore()?.isInCommand === true;
  return askers.run({ asker, isInCommand }, work);
}

const STDOUT = 1;
const STDERR = 2;

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown';

/** @throws SealdexError `CONFIG_INVALID` if the file cannot be written */
export function createAuditLog({ to, clock, identity }: AuditLogDeps): AuditLog {
  const self = `${hostname()}/${process.pid}`;
  let failures = 0;
  const onFailure = (line: string, error: unknown): void => {
    failures += 1;
    const name = typeof to === 'string' ? to : 'the sink of the application';
    writeStderr(`sealdex: Cannot write to the audit log ${name} (${reasonOf(error)}). The line:\n${line}`);
  };
  const write = typeof to === 'string' ? lineWriter(to, onFailure) : sinkWriter(to, onFailure);
  return {
    async origin() {
      const { asker, isInCommand } = askers.getStore() ?? { asker: {}, isInCommand: false };
      const origin = { process: self, ...asker, isInCommand };
      return asker.command === undefined ? origin : { ...origin, identity: await identity() };
    },
    write(origin, event) {
      const { isInCommand = origin.command !== undefined, ...fields } = origin;
      const record = { audit: 1, time: new Date(clock.now()).toISOString(), ...event, ...fields };
      write(`${JSON.stringify(record)}\n`, isInCommand);
    },
    failures: () => failures,
  };
}

type Write = (line: string, isInCommand: boolean) => void;
type OnFailure = (line: string, error: unknown) => void;

/** @throws SealdexError `CONFIG_INVALID` if the file cannot be written */
function lineWriter(to: string, onFailure: OnFailure): Write {
  checkAuditLog(to);
  /** A failed write may have left half a line. */
  let isTorn = false;
  return (line, isInCommand) => {
    try {
      const text = isTorn ? `\n${line}` : line;
      if (to !== 'stdout') append(to, text);
      // The standard output of a command is its result.
      else writeWhole(isInCommand ? STDERR : STDOUT, text);
      isTorn = false;
    } catch (error) {
      isTorn = true;
      onFailure(line, error);
    }
  };
}

/** The sink receives a copy of its own, equal to the line of a file. */
function sinkWriter(sink: AuditSink, onFailure: OnFailure): Write {
  const deliver = async (line: string): Promise<void> => sink(JSON.parse(line) as AuditRecord);
  return (line) => void deliver(line).catch((error: unknown) => onFailure(line, error));
}

/** For callers that use no tenant's key, and for host applications without an audit log. */
export const noAudit: AuditLog = Object.freeze({
  origin: async () => ({ process: '-' }),
  write: () => {},
  failures: () => 0,
});

/**
 * Creates no file: the first process to open it would own it. @throws SealdexError `CONFIG_INVALID` if the file cannot be written
 */
export function checkAuditLog(to: string): void {
  const reason = to === 'stdout' ? undefined : faultOf(to);
  if (reason === undefined) return;
  throw new SealdexError(
    'CONFIG_INVALID',
    `SEALDEX_AUDIT_LOG: cannot write ${to} (${reason}). Use a path in an existing directory, or stdout.`,
  );
}

/** Opening or writing another type of file, such as a pipe, can block the whole process. */
const canHold = (found: Stats): boolean => found.isFile() || found.isCharacterDevice();

function faultOf(path: string): string | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && !canHold(found)) return 'no file';
    accessSync(found ? path : dirname(path), constants.W_OK);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** Opened for each line, so that the file can be rotated without a signal and shared by processes. */
function append(path: string, text: string): void {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
  try {
    writeWhole(fd, text);
  } finally {
    closeSync(fd);
  }
}

const FULL_PIPE_TRIES = 20;
const FULL_PIPE_MS = 5;

/** Bypasses Node's streams: their errors end the process or arrive too late. */
function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let tries = 0;
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || ++tries > FULL_PIPE_TRIES) throw error;
      // The reader of the pipe is slow. Lines are few, and each must be written before the process continues.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    }
  }
}

function writeStderr(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch {
    // The failure is only counted: standard error is the last resort.
  }
}
