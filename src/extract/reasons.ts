// Reasons why a file was not read: a closed list, each with its code and its message for the sender. Messages never quote the
// file; for an unsupported file they name the MIME type.
import type { FileReason as ReaderReason } from '@sealdex/extract';
import { SealdexError, type Code } from '../runtime/errors.ts';

/** Found outside of the readers: before a file is sent, and by the pool. */
type HostReason = 'too-large' | 'time' | 'memory';

interface FileReason {
  readonly code: Extract<Code, `FILE_${string}`>;
  readonly message: string;
}

const row = (code: FileReason['code'], message: string): FileReason => Object.freeze({ code, message });

/** Must match the readers' list: the compiler reports a reason that either side lacks. */
export const FILE_REASONS = Object.freeze({
  empty: row('FILE_NO_TEXT', 'The file is empty. Upload it again.'),
  'no-text': row(
    'FILE_NO_TEXT',
    'The file contains no text. Upload a version with a text layer; scans are not supported.',
  ),
  'pdf-encrypted': row('FILE_UNREADABLE', 'The PDF is encrypted. Remove the password and upload it again.'),
  'office-encrypted': row('FILE_UNREADABLE', 'The document is encrypted. Remove the password and upload it again.'),
  'archive-encrypted': row(
    'FILE_UNREADABLE',
    'The file is encrypted. Remove the password or protection and upload it again.',
  ),
  damaged: row('FILE_UNREADABLE', 'The file is damaged or truncated. Save it again and upload the complete file.'),
  encoding: row('FILE_UNREADABLE', 'The text encoding could not be detected. Save the file as UTF-8.'),
  'too-large': row('FILE_TOO_LARGE', 'The file exceeds the size limit. Split it.'),
  'unpacks-too-large': row('FILE_TOO_LARGE', 'The uncompressed content exceeds the size limit. Split the file.'),
  'text-too-large': row('FILE_TOO_LARGE', 'The file contains more text than one document can hold. Split it.'),
  'too-deep': row('FILE_TOO_COMPLEX', 'The file is nested too deeply. Save it in a simpler format.'),
  'too-many-parts': row('FILE_TOO_COMPLEX', 'The file has too many parts. Split it.'),
  time: row('FILE_TOO_COMPLEX', 'Extraction took too long. Split the file or save it in a simpler format.'),
  memory: row('FILE_TOO_COMPLEX', 'Extraction used too much memory. Split the file or save it in a simpler format.'),
} satisfies Record<Exclude<ReaderReason, 'unsupported'> | HostReason, FileReason>);

export type FileReasonName = keyof typeof FILE_REASONS;

/** @returns the error of a file that cannot be read */
export function unreadable(reason: FileReasonName): SealdexError {
  const { code, message } = FILE_REASONS[reason];
  return new SealdexError(code, message, { reason });
}

const MIME = /^[a-z]{1,20}\/[a-z0-9][a-z0-9.+-]{0,90}$/;

/** Returns true for a MIME type that may be printed and stored. */
export const isMime = (text: unknown): text is string => typeof text === 'string' && MIME.test(text);

/** The error of a file of an unsupported type. `found` is a MIME type; any other text is not repeated. */
export function unsupported(found?: string): SealdexError {
  const named = isMime(found);
  return new SealdexError(
    'FILE_UNSUPPORTED',
    `${named ? `File type ${found}` : 'The file type'} is not supported. Convert the file to a supported type.`,
    { reason: named ? found : 'unknown' },
  );
}

/** The message of a reason that was stored with a code; undefined for an unknown one. */
export function reasonMessage(code: string, reason: string | undefined): string | undefined {
  if (reason === undefined) return undefined;
  if (code === 'FILE_UNSUPPORTED') return unsupported(reason).message;
  const known = Object.hasOwn(FILE_REASONS, reason) ? FILE_REASONS[reason as FileReasonName] : undefined;
  return known?.code === code ? known.message : undefined;
}
