// Plain text: one section, as it is.
import { charsetOf, decodeText } from '../encoding.ts';
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { FileError } from '../file-error.ts';

/** @throws FileError `encoding` */
export async function readText(file: FileInput): Promise<Extracted> {
  return { contentType: MIME.text, metadata: {}, sections: [{ text: wholeTextOf(file) }] };
}

/** @throws FileError `encoding` */
export function wholeTextOf({ bytes, contentType }: FileInput): string {
  const text = decodeText(bytes, charsetOf(contentType));
  if (text === undefined) throw new FileError('encoding');
  return text;
}
