// What a command says and answers when it fails: one sentence and an exit code, never a stack.
import { CODES, SealdexError } from '../errors.ts';
import { NeedsCheckout } from './checkout.ts';

/** Ctrl-C: nothing more to say. */
export class Interrupted extends Error {}

export class UsageError extends Error {}

export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

export function failure(error: unknown): Failure {
  if (error instanceof SealdexError)
    return { text: `${error.message} (${error.code})`, exitCode: CODES[error.code].exit };
  if (error instanceof UsageError) return { text: error.message, exitCode: 64 };
  if (error instanceof NeedsCheckout) return { text: error.message, exitCode: 69 };
  if (error instanceof Interrupted) return { text: '', exitCode: 130 };
  if (isFileError(error)) return { text: fileSentence(error), exitCode: 66 };
  return {
    text: `an error that nobody foresaw: ${error instanceof Error ? error.name : typeof error}. Please report it. (INTERNAL)`,
    exitCode: CODES.INTERNAL.exit,
  };
}

const isFileError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error &&
  typeof (error as NodeJS.ErrnoException).syscall === 'string' &&
  (error as NodeJS.ErrnoException).path !== undefined;

function fileSentence({ code, path = '' }: NodeJS.ErrnoException): string {
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EACCES: 'it may not be read',
    EISDIR: 'it is a folder, not a file',
  };
  return `${path}: ${reasons[code ?? ''] ?? `it cannot be read (${code})`}.`;
}
