// Errors of files: a closed list of reasons, and the error with such a reason.

export type FileReason =
  | 'empty'
  | 'no-text'
  | 'pdf-encrypted'
  | 'office-encrypted'
  | 'archive-encrypted'
  | 'damaged'
  | 'encoding'
  | 'unpacks-too-large'
  | 'text-too-large'
  | 'too-deep'
  | 'too-many-parts'
  | 'unsupported';

const MIME = /^[a-z]{1,20}\/[a-z0-9][a-z0-9.+-]{0,90}$/;

/** A file that cannot be read. Neither the error nor its message quotes the file. */
export class FileError extends Error {
  readonly reason: FileReason;
  /** MIME type of an `unsupported` file, without parameters; undefined if it is unknown. */
  readonly found: string | undefined;

  constructor(reason: FileReason, found?: string) {
    const type = found !== undefined && MIME.test(found) ? found : undefined;
    super(`The file cannot be read: ${type === undefined ? reason : `${reason} (${type})`}.`);
    this.name = 'FileError';
    this.reason = reason;
    this.found = type;
  }
}

/** The reason for V8's error of a stack or a string above its limit; undefined for any other error. */
export function limitReason(error: unknown): FileReason | undefined {
  if (!(error instanceof RangeError)) return undefined;
  if (error.message.includes('call stack')) return 'too-deep';
  return error.message.includes('string length') ? 'text-too-large' : undefined;
}
