// One check of our own installation, and what it found. A check ends in time and never takes others with it.
import { withDeadline, type Clock } from '../runtime/clock.ts';
import { CODES, SealdexError } from '../runtime/errors.ts';

export interface Found {
  /** `fail`: the installation cannot work as it is. */
  readonly verdict: 'ok' | 'warn' | 'fail';
  /** A sentence. */
  readonly saw: string;
  /** The remedy, a sentence. */
  readonly todo?: string;
}

export interface Finding extends Found {
  readonly check: string;
}

export interface Check {
  readonly check: string;
  /** What it throws is a failure. Heeds the signal as far as it can. */
  readonly look: (signal: AbortSignal) => Promise<Found>;
}

export const ok = (saw: string): Found => ({ verdict: 'ok', saw });
export const warn = (saw: string, todo: string): Found => ({ verdict: 'warn', saw, todo });
export const fail = (saw: string, todo: string): Found => ({ verdict: 'fail', saw, todo });

export const CHECK_MS = 10_000;

export async function examine(clock: Clock, { check, look }: Check, ms = CHECK_MS): Promise<Finding> {
  const late = new AbortController();
  const error = new Late(ms);
  const timer = clock.after(ms, () => late.abort(error));
  try {
    return { check, ...(await withDeadline(clock, ms, look(late.signal), () => error)) };
  } catch (thrown) {
    return { check, ...failure(thrown) };
  } finally {
    timer.cancel();
  }
}

class Late extends Error {
  constructor(ms: number) {
    super(`No answer within ${ms / 1000} s.`);
  }
}

export const markOf = ({ code, reason }: SealdexError): string => (reason === undefined ? code : `${code} ${reason}`);

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** What was thrown, as a finding. */
export function failure(error: unknown): Found {
  if (error instanceof Late) return fail(error.message, 'Check the network, and what runs at the other end.');
  if (!(error instanceof SealdexError)) return fail('An error that nobody foresaw.', 'Report it.');
  const { means, todo } = CODES[error.code];
  const way = todo.startsWith('nothing') ? 'check network, endpoint and AWS status' : todo;
  return fail(`${capital(means)} (${markOf(error)}).`, `${capital(way)}.`);
}
