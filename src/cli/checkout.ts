// What only a checkout can do: the embedded services are not part of the package, nor are what they are made of.
import { SealdexError } from '../runtime/errors.ts';
import { Unavailable } from './failure.ts';

/** What `load` imports, or one sentence when it is not there. @throws Unavailable */
export async function fromCheckout<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Unavailable(
      'This command needs a checkout of sealdex with its dev dependencies: clone the repository, then npm ci.',
    );
  }
}

/**
 * What the embedded services do, whose errors are plain ones with one sentence about this machine.
 * @throws Unavailable with that sentence; other errors as they are
 */
export async function embedded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SealdexError || !(error instanceof Error) || error.constructor !== Error) throw error;
    throw 'code' in error ? error : new Unavailable(error.message);
  }
}
