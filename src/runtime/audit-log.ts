// The audit log: a line of JSON for every call to KMS with a tenant's key and for every change of a tenant's settings, written
// through before the answer is used. No content, key bytes or document ids. Reading it is src/audit's business.
import { AsyncLocalStorage } from 'node:async_hooks';
import { accessSync, closeSync, constants, openSync, statSync, writeSync, type Stats } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Clock } from './clock.ts';
import { SealdexError } from './errors.ts';

/** On whose behalf something is done. */
export interface AuditContext {
  readonly job?: string;
  /** Of the command line, as `tenants set-key`. */
  readonly command?: string;
  /** What a process does of its own accord, or for its caller. */
  readonly activity?: 'revocation check' | 'probe' | 'read';
}

export interface AuditOrigin extends AuditContext {
  readonly process: string;
  /** The ARN of who runs a command; `unknown` when STS does not tell. */
  readonly identity?: string;
  /** Keeps the line off the answer of a command that it does not name; not written. */
  readonly isInCommand?: boolean;
}

/** What happened; time and who stand beside it on its line. */
export interface AuditEvent {
  readonly tenant: string;
  readonly operation: string;
  /** The KMS key's ARN; `platform` when a tenant is given back to the platform key. */
  readonly key?: string | undefined;
  /** The tenant in the encryption context, where a check tries another one than the tenant that it is for. */
  readonly contextTenant?: string | undefined;
  readonly period?: string | undefined;
  readonly purpose?: string | undefined;
  /** Of a change of settings: what was changed, and to what. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** `ok`; of a call the name of AWS' error, or `unanswered`; of a change a code. */
  readonly result: string;
  readonly requestId?: string | undefined;
}

export interface AuditLog {
  /** Asks STS first when a command asks, for 3 s at most: so before a call, whose time it would take otherwise. */
  who(): Promise<AuditOrigin>;
  /** Never throws: a line that cannot be written goes to standard error, and is counted. */
  write(who: AuditOrigin, event: AuditEvent): void;
  /** Lines that could not be written. */
  failures(): number;
}

export interface AuditLogDeps {
  /** `stdout`, or a file's path. */
  readonly to: string;
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

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';

/** @throws SealdexError `CONFIG_INVALID` when the file cannot be written */
export function createAuditLog({ to, clock, identity }: AuditLogDeps): AuditLog {
  const self = `${hostname()}/${process.pid}`;
  checkAuditLog(to);
  /** What broke off may have left half a line. */
  let isTorn = false;
  let failures = 0;
  return {
    async who() {
      const { asker, isInCommand } = askers.getStore() ?? { asker: {}, isInCommand: false };
      const who = { process: self, ...asker, isInCommand };
      return asker.command === undefined ? who : { ...who, identity: await identity() };
    },
    write(who, event) {
      const { isInCommand = who.command !== undefined, ...told } = who;
      const line = `${JSON.stringify({ audit: 1, time: new Date(clock.now()).toISOString(), ...event, ...told })}\n`;
      try {
        const text = isTorn ? `\n${line}` : line;
        if (to !== 'stdout') append(to, text);
        // The standard output of a command is its answer.
        else writeWhole(isInCommand ? STDERR : STDOUT, text);
        isTorn = false;
      } catch (error) {
        isTorn = true;
        failures += 1;
        writeStderr(`sealdex: The audit log (${to}) cannot be written (${reasonOf(error)}). Its line:\n${line}`);
      }
    },
    failures: () => failures,
  };
}

/** For who calls KMS with our own keys only. */
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
    `SEALDEX_AUDIT_LOG ${to} cannot be written (${reason}): give the path of a file in a folder that is there, or stdout.`,
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
