// One check of the installation and its result. A check has a deadline and does not affect others.
import { withDeadline, type Clock } from '../runtime/clock.ts';
import { CODES, SealdexError } from '../runtime/errors.ts';
import { sentenceOf, withMark } from '../runtime/sentences.ts';
import { formatDuration } from '../runtime/units.ts';

export interface CheckResult {
  /** `fail`: the installation cannot work in this state. */
  readonly status: 'ok' | 'warn' | 'fail';
  /** A sentence. */
  readonly observed: string;
  /** The remedy, a sentence. */
  readonly remedy?: string;
}

export interface NamedCheckResult extends CheckResult {
  readonly check: string;
}

export interface Check {
  readonly check: string;
  /** An error is a failed check. Should end at the signal. */
  readonly run: (signal: AbortSignal) => Promise<CheckResult>;
}

export const passed = (observed: string): CheckResult => ({ status: 'ok', observed });
export const warning = (observed: string, remedy: string): CheckResult => ({
  status: 'warn',
  observed,
  remedy,
});
export const failed = (observed: string, remedy: string): CheckResult => ({
  status: 'fail',
  observed,
  remedy,
});

export const CHECK_MS = 10_000;

export async function examine(clock: Clock, { check, run }: Check, ms = CHECK_MS): Promise<NamedCheckResult> {
  const late = new AbortController();
  const error = new Late(ms);
  const timer = clock.after(ms, () => late.abort(error));
  try {
    return { check, ...(await withDeadline(clock, ms, run(late.signal), () => error)) };
  } catch (thrown) {
    return { check, ...failure(thrown) };
  } finally {
    timer.cancel();
  }
}

class Late extends Error {
  constructor(ms: number) {
    super(`No response within ${formatDuration(ms)}.`);
  }
}

export const markOf = ({ code, reason }: SealdexError): string => (reason === undefined ? code : `${code} ${reason}`);

/** Converts an error to a result. */
export function failure(error: unknown): CheckResult {
  if (error instanceof Late) return failed(error.message, 'Check the network and the remote service.');
  if (!(error instanceof SealdexError)) return failed('Unexpected error.', 'Please report it.');
  const { description, remedy } = CODES[error.code];
  return failed(withMark(sentenceOf(description), markOf(error)), sentenceOf(remedy));
}
