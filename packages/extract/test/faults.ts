// Failed readings in the words of tests.
import { FileError } from '../src/file-error.ts';

/** Reason of the FileError that `work` fails with, with the type that was found; the result when it does not fail. */
export async function faultOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return { noFault: await work };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return error.found === undefined ? error.reason : `${error.reason} ${error.found}`;
  }
}
