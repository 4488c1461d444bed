// Log: one line of JSON per event. Contains no content, key bytes or document ids: errors are reduced by fault.ts.
import { pino } from 'pino';
import type { Config } from './config.ts';

/** A logger: pino's, or another one with the same methods. `facts` are the fields of the line. The methods must not throw. */
export interface Log {
  /** Logs a line of level `debug`. */
  debug(facts: object, message: string): void;
  /** Logs a line of level `info`. */
  info(facts: object, message: string): void;
  /** Logs a line of level `warn`. */
  warn(facts: object, message: string): void;
  /** Logs a line of level `error`. */
  error(facts: object, message: string): void;
}

export function createLog(config: Pick<Config, 'logLevel'>, role: string): Log {
  return pino({ level: config.logLevel, base: { role, pid: process.pid } });
}

export const silentLog: Log = Object.freeze({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });

/** Limits a message to one per `everyMs` and key, so that an outage does not flood the log. */
export function atMostEvery(now: () => number, everyMs: number): (key: string, log: () => void) => void {
  const loggedAt = new Map<string, number>();
  return (key, log) => {
    const last = loggedAt.get(key);
    if (last !== undefined && now() - last < everyMs) return;
    if (loggedAt.size >= 1000) loggedAt.clear();
    loggedAt.set(key, now());
    log();
  };
}
