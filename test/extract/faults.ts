// What an extraction that fails says, as tests compare it.
import { SealdexError } from '../../src/runtime/errors.ts';

/** Code and reason of the error that `work` ends with; what came out where none was thrown. */
export async function faultOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return { noFault: await work };
  } catch (error) {
    if (!(error instanceof SealdexError)) throw error;
    return `${error.code} ${error.reason ?? ''}`.trim();
  }
}
