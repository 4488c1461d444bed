// The audit log: a line of JSON for every call to KMS with a tenant's key and for every change of a tenant's settings, written
// through before the answer is used. No content, key bytes or document ids. Reading it is src/audit's business.
import { AsyncLocalStorage } from 'node:async_hooks';
import { closeSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Clock } from './clock.ts';
import { SealdexError } from './errors.ts';
import type { Metrics } from './metrics.ts';

/** On whose behalf something is done. */
export interface Asker {
  readonly job?: string;
  /** Of the command line, as `tenants set-key`. */
  readonly command?: string;
  /** What a process does of its own accord, or for its caller. */
  readonly task?: 'key check' | 'probe' | 'read';
}

export interface Who extends Asker {
  readonly process: string;
  /** The ARN of who runs a command; `unknown` when STS does not tell. */
  readonly identity?: string;
}

/** What happened; time and who stand beside it on its line. */
export type AuditEvent = {
  readonly tenant: string;
  readonly operation: string;
  /** The KMS key's ARN; `platform` when a tenant is given back to the platform key. */
  readonly key?: string | undefined;
  readonly period?: string | undefined;
  readonly purpose?: string | undefined;
  /** Of a change of settings: what was changed, and to what. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** `ok`; of a call the name of AWS' error, or `unanswered`; of a change a code. */
  readonly result: string;
  readonly requestId?: string | undefined;
};

export interface AuditLog {
  /** Asks STS first when a command asks, for 3 s at most: so before a call, whose time it would take otherwise. */
  who(): Promise<Who>;
  /** Never throws: a line that cannot be written goes to standard error, and is counted. */
  write(who: Who, event: AuditEvent): void;
}

export interface AuditLogDeps {
  /** `stdout`, or a file's path. */
  readonly to: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly identity: () => Promise<string>;
}

const askers = new AsyncLocalStorage<Asker>();

/** Whatever the work asks of KMS, or changes, is for this asker; for a job within a command, for both. */
export const askedBy = <T>(asker: Asker, work: () => T): T => askers.run({ ...askers.getStore(), ...asker }, work);

const STDOUT = 1;
const STDERR = 2;

/** @throws SealdexError `CONFIG_INVALID` when the file cannot be written */
export function createAuditLog({ to, clock, metrics, identity }: AuditLogDeps): AuditLog {
  const self = `${hostname()}/${process.pid}`;
  checkAuditLog(to);
  /** What broke off may have left half a line. */
  let isTorn = false;
  return {
    async who() {
      const asker = askers.getStore() ?? {};
      return { process: self, ...asker, ...(asker.command === undefined ? {} : { identity: await identity() }) };
    },
    write(who, event) {
      const line = `${JSON.stringify({ audit: 1, time: new Date(clock.now()).toISOString(), ...event, ...who })}\n`;
      // The standard output of a command is its answer.
      const fd = who.command === undefined ? STDOUT : STDERR;
      try {
        const text = isTorn ? `\n${line}` : line;
        if (to === 'stdout') writeWhole(fd, text);
        else append(to, text);
        isTorn = false;
      } catch (error) {
        isTorn = true;
        metrics.count('sealdex_audit_failures_total', {});
        cry(`sealdex: The audit log (${to}) cannot be written (${reasonOf(error)}). Its line:\n${line}`);
      }
    },
  };
}

/** For who calls KMS with our own keys only. */
export const noAudit: AuditLog = Object.freeze({ who: async () => ({ process: '-' }), write: () => {} });

/** @throws SealdexError `CONFIG_INVALID` when it is a file that cannot be written */
export function checkAuditLog(to: string): void {
  try {
    if (to !== 'stdout') append(to, '');
  } catch (error) {
    throw new SealdexError(
      'CONFIG_INVALID',
      `SEALDEX_AUDIT_LOG ${to} cannot be written (${reasonOf(error)}): give the path of a file in a folder that is there, or stdout.`,
    );
  }
}

/** Opened for each line: whoever rotates the file needs no word of ours, and many processes may share it. */
function append(path: string, text: string): void {
  const fd = openSync(path, 'a', 0o600);
  try {
    writeWhole(fd, text);
  } finally {
    closeSync(fd);
  }
}

const FULL_PIPE_TRIES = 50;
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

function cry(text: string): void {
  try {
    writeWhole(STDERR, text);
  } catch {
    // The metric has told.
  }
}

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown';
