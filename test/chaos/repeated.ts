// Calls of a chaos run before and after its faults: on a busy machine they fail at the product's own deadlines of about a second.
import { setTimeout as sleep } from 'node:timers/promises';
import { SealdexError } from '../../src/runtime/errors.ts';

const CALLS = 60;
const AGAIN_MS = 250;

/** Errors that say something about a stored object. */
const isResult = (error: unknown): boolean =>
  !(error instanceof SealdexError) || error.code === 'NOT_FOUND' || error.code.startsWith('OBJECT_');

/** Repeats a call that failed for another reason than a stored object. */
export async function repeated<T>(call: () => Promise<T>, calls = CALLS): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (isResult(error) || calls === 1) throw error;
    await sleep(AGAIN_MS);
    return repeated(call, calls - 1);
  }
}
