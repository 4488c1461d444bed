// Raised deadlines for the processes that tests start, and the real ones for tests of promptness.
import { fileURLToPath } from 'node:url';
import { DEADLINES, deadlines, type Deadlines } from '../../src/runtime/deadlines.ts';

/** Node flags that raise the deadlines of a process. It runs sources, not the compiled files. */
export const RAISED_FLAGS = ['--import', fileURLToPath(new URL('./raised-deadlines.ts', import.meta.url))];

/**
 * Until it is disposed of, calls of this process have the deadlines of the product, as do new connections. `changes`: longer
 * ones, for tests in which one call must time out and others must not.
 */
export function realDeadlines(changes: Partial<Deadlines> = {}): Disposable {
  const raised = { ...deadlines };
  Object.assign(deadlines, DEADLINES, changes);
  return { [Symbol.dispose]: () => void Object.assign(deadlines, raised) };
}
