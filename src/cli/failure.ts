// Failure of a command: one sentence and an exit code, never a stack trace.
import { CODES, SealdexError } from '../runtime/errors.ts';
import { withMark } from '../runtime/sentences.ts';
import { time } from './terminal.ts';

/** Exit codes of sysexits.h that are not in the code table. */
export const USAGE = 64;
const FAULTY = 65;
const UNREADABLE = 66;
const UNAVAILABLE = 69;
export const OUTPUT_FAILED = 74;

/** Ctrl-C or SIGTERM; printed without a message. */
export class Interrupted extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM';

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal);
    this.signal = signal;
  }
}

export class UsageError extends Error {}

/** A prerequisite of the command is missing on this machine; the message is one sentence. */
export class MissingPrerequisiteError extends Error {}

/** A given file cannot be read. */
export class FileReadError extends Error {
  constructor(file: string, code: string) {
    const reasons: Record<string, string> = {
      ENOENT: 'file not found',
      EACCES: 'permission denied',
      EISDIR: 'is a directory; give files',
      EEMPTY: 'the directory contains no files',
      ENOTFILE: 'is not a regular file',
    };
    super(`${file}: ${reasons[code] ?? `cannot read the file (${code})`}.`);
  }
}

/** A given file has unexpected content; `fault` is the text after its name. */
export class FileFormatError extends Error {
  constructor(file: string, fault: string) {
    super(`${file} ${fault}.`);
  }
}

export interface Failure {
  readonly text: string;
  readonly exitCode: number;
}

/** Exit code of a shell for a process that was ended by the signal. */
export const exitCodeOf = ({ signal }: Interrupted): number => (signal === 'SIGINT' ? 130 : 143);

export function failure(error: unknown): Failure {
  if (error instanceof SealdexError) return { text: textOf(error), exitCode: CODES[error.code].exit };
  if (error instanceof UsageError) return { text: error.message, exitCode: USAGE };
  if (error instanceof MissingPrerequisiteError) return { text: error.message, exitCode: UNAVAILABLE };
  if (error instanceof FileReadError) return { text: error.message, exitCode: UNREADABLE };
  if (error instanceof FileFormatError) return { text: error.message, exitCode: FAULTY };
  if (error instanceof Interrupted) return { text: '', exitCode: exitCodeOf(error) };
  // Without the message, which may quote content.
  return {
    text: `Unexpected error (${['INTERNAL', ...namesIn(error)].join(' ')}). Please report it.`,
    exitCode: CODES.INTERNAL.exit,
  };
}

const isPlain = (word: string): boolean => word === 'Error' || word === 'SealdexError' || Object.hasOwn(CODES, word);

const isTelling = (word: string | undefined): boolean =>
  word !== undefined && /^[A-Za-z]\w{2,60}$/.test(word) && !isPlain(word);

/** The message of an error with its code, the name of its cause (`ECONNREFUSED`, `NoSuchBucket`) and its start. */
export function textOf(error: SealdexError): string {
  const [sentence = '', ...faults] = error.message.split('\n');
  const words = [error.code, ...[error.reason, ...namesIn(error.cause)].filter(isTelling).slice(0, 1)].join(' ');
  const mark = `${words}${error.since === undefined ? '' : `, since ${time(error.since)}`}`;
  if (faults.length > 0) return [`${sentence.replace(/:$/, '')} (${mark}):`, ...faults].join('\n');
  return withMark(sentence, mark);
}

/** Error names of Node and AWS, never a message. */
function namesIn(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const { code } = error as { code?: unknown };
  return [...(typeof code === 'string' ? [code] : []), error.name].filter((word) => /^[A-Za-z]\w{2,60}$/.test(word));
}
