// The log: one line of JSON an event, and the only way in which an error gets into it.
// Never content, key bytes or document ids: an error is reduced to codes, names and AWS request ids first.
import { pino } from 'pino';
import type { Config } from './config.ts';
import { SealdexError } from './errors.ts';

export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export function createLog(config: Pick<Config, 'logLevel'>, role: string): Log {
  return pino({ level: config.logLevel, base: { role, pid: process.pid } });
}

export const silentLog: Log = Object.freeze({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });

export interface Fault {
  readonly code: string;
  readonly reason?: string;
  readonly field?: string;
  /** Who has to act when AWS denies access. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** Name of the error that KMS, S3, Redis or Node gave. */
  readonly cause?: string;
  readonly requestId?: string;
}

/** What may be said of an error: no message, since messages of unknown errors quote what they met. */
export function faultOf(error: unknown): Fault {
  if (error instanceof SealdexError) {
    return {
      code: error.code,
      ...(error.reason === undefined ? {} : { reason: error.reason }),
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(error.deniedBy === undefined ? {} : { deniedBy: error.deniedBy }),
      ...(error.cause === undefined ? {} : { cause: causeOf(error.cause) }),
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    };
  }
  return { code: 'INTERNAL', cause: causeOf(error) };
}

/** A name may be a server's own text: one that is no name is not repeated. */
export const nameOf = ({ name }: { readonly name?: string }, otherwise = 'Error'): string =>
  name !== undefined && /^[A-Za-z][A-Za-z0-9.]{0,60}$/.test(name) ? name : otherwise;

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const detail = (error as { code?: unknown }).code;
  const name = nameOf(error);
  return typeof detail === 'string' && /^[A-Z0-9_]+$/.test(detail) ? `${name} ${detail}` : name;
}

/** Says a thing at most once per `everyMs` and key, so that an outage is a line and not a flood. */
export function rarely(now: () => number, everyMs: number): (key: string, say: () => void) => void {
  const said = new Map<string, number>();
  return (key, say) => {
    const last = said.get(key);
    if (last !== undefined && now() - last < everyMs) return;
    if (said.size >= 1000) said.clear();
    said.set(key, now());
    say();
  };
}
