// Loader of the optional package @sealdex/local-aws: a checkout always has it, elsewhere it is installed separately.
import type * as LocalAws from '@sealdex/local-aws';
import { SealdexError } from '../../runtime/errors.ts';
import { MissingPrerequisiteError } from '../failure.ts';

const PACKAGE = '@sealdex/local-aws';

/** Installs the local services, and the readers of the files that these commands upload. */
const INSTALL = `npm install --save-dev ${PACKAGE} @sealdex/extract`;

/** Help text of the commands that need the packages. */
export const NEEDS_LOCAL_PACKAGE = `Outside a checkout, install two packages first:
${INSTALL}`;

/** Whether the package itself is missing; the error of a package that it imports names the importing file. */
const isMissing = (error: unknown): boolean =>
  error instanceof Error &&
  (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND' &&
  error.message.startsWith(`Cannot find package '${PACKAGE}'`);

/** @throws MissingPrerequisiteError, which names the command that installs it */
export async function loadLocalAws(): Promise<typeof LocalAws> {
  try {
    return await import('@sealdex/local-aws');
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new MissingPrerequisiteError(
      `The package ${PACKAGE}, which runs local services, is not installed. Install it and the readers: ${INSTALL}`,
    );
  }
}

/**
 * Runs work of the local services, whose plain errors have one sentence about this machine.
 * @throws MissingPrerequisiteError with that sentence; other errors unchanged
 */
export async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SealdexError || !(error instanceof Error) || error.constructor !== Error) throw error;
    throw 'code' in error ? error : new MissingPrerequisiteError(error.message);
  }
}
