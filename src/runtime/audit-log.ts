// The audit log: a line of JSON for every call to KMS with a tenant's key and for every change of a tenant's settings, written
// through before the answer is used. No content, key bytes or document ids. Reading it is src/audit's business.
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
  /** Keeps the line off the answer of a command that it does not name; not written. */
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
  /** For a change of a tenant: the new values. */
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
  /** Asks STS first when a command asks, for 3 s at most: so before a call, whose time it would take otherwise. */
  who(): Promise<AuditOrigin>;
  /** Never throws: a line that cannot be written goes to standard error, and is counted. */
  write(who: AuditOrigin, event: AuditEvent): void;
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

/** Whatever the work asks of KMS, or changes, is for this asker; for a job within a command, for both. */
export const withAuditContext = <T>(asker: AuditContext, work: () => T): T =>
  withOnlyAuditContext({ ...askers.getStore()?.asker, ...asker }, work);

/** For this asker and nobody around it: what is done with one tenant's key does not name another tenant's job. */
export function withOnlyAuditContext<T>(asker: AuditContext, work: () => T): T {
  const isInCommand = asker.command !== undefined || askers.getStore()?.isInCommand === true;
  return askers.run({ asker, isInCommand }, work);
}

const STDOUT = 1;
const STDERR = 2;

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown';

/** @throws SealdexError `CONFIG_INVALID` when the file cannot be written */
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
    async who() {
      const { asker, isInCommand } = askers.getStore() ?? { asker: {}, isInCommand: false };
      const who = { process: self, ...asker, isInCommand };
      return asker.command === undefined ? who : { ...who, identity: await identity() };
    },
    write(who, event) {
      const { isInCommand = who.command !== undefined, ...told } = who;
      const record = { audit: 1, time: new Date(clock.now()).toISOString(), ...event, ...told };
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
  who: async () => ({ process: '-' }),
  write: () => {},
  failures: () => 0,
});

/** Makes nothing: whoever looks first would own the file. @throws SealdexError `CONFIG_INVALID` for a file that cannot be written */
export function checkAuditLog(to: string): void {
  const reason = to === 'stdout' ? undefined : faultOf(to);
  if (reason === undefined) return;
  throw new SealdexError(
    'CONFIG_INVALID',
    `SEALDEX_AUDIT_LOG: cannot write ${to} (${reason}). Use a path in an existing directory, or stdout.`,
  );
}

/** Opening or writing anything else, a pipe for one, may stop the whole process. */
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

/** Opened for each line: whoever rotates the file needs no word of ours, and many processes may share it. */
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

/** Past the streams of Node, whose failures end the process or come too late. */
function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  let tries = 0;
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || ++tries > FULL_PIPE_TRIES) throw error;
      // Whoever reads the pipe is slow; there are few lines, and each is to be out before we go on.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    }
  }
}

function writeStderr(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch {
    // The count tells.
  }
}
