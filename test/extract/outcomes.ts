// Files read by a real child process as a worker reads them, with their text or reason.
import { CHILD_ENTRY } from '../../src/extract/extractor.ts';
import type { ExtractPool } from '../../src/extract/pool.ts';
import { FILE_REASONS, type FileReasonName } from '../../src/extract/reasons.ts';
import type { SealdexError } from '../../src/runtime/errors.ts';
import { openPool, PLACE } from './fixture.ts';

const HEAP_BYTES = 512 * 1024 * 1024;

export const childPool = (extractMs = 60_000): ExtractPool =>
  openPool({ entry: CHILD_ENTRY, heapBytes: HEAP_BYTES, extractMs });

const MAX_TRIES = 30;

/**
 * Texts of the record's parts, or the sentence of the failure. A file is tried again, as the job would be, if a busy machine
 * gave its extractor no CPU time.
 */
export async function outcomeOf(from: ExtractPool, bytes: Buffer | string, filename = 'a', tries = 1): Promise<string> {
  try {
    const record = await from.extract({ bytes: Buffer.from(bytes as string), filename }, PLACE);
    const [, ...parts] = record.bytes.toString().trim().split('\n');
    return parts.map((line) => (JSON.parse(line) as { text: string }).text).join('');
  } catch (error) {
    const { code, message } = error as SealdexError;
    return code === 'INTERNAL' && tries < MAX_TRIES ? outcomeOf(from, bytes, filename, tries + 1) : message;
  }
}

export const messageOf = (reason: FileReasonName): string => FILE_REASONS[reason].message;
