// Files read by a real child process as a worker has them read, and what comes of them in words.
import { CHILD_ENTRY } from '../../src/extract/extractor.ts';
import type { ExtractPool } from '../../src/extract/pool.ts';
import { FILE_REASONS, type FileReasonName } from '../../src/extract/reasons.ts';
import { openPool, PLACE } from './fixture.ts';

const HEAP_BYTES = 512 * 1024 * 1024;

export const childPool = (extractMs = 60_000): ExtractPool =>
  openPool({ entry: CHILD_ENTRY, heapBytes: HEAP_BYTES, extractMs });

/** Texts of the record's parts; the sentence of the failure where there is none. */
export async function outcomeOf(from: ExtractPool, bytes: Buffer | string, filename = 'a'): Promise<string> {
  try {
    const record = await from.extract({ bytes: Buffer.from(bytes as string), filename }, PLACE);
    const [, ...parts] = record.bytes.toString().trim().split('\n');
    return parts.map((line) => (JSON.parse(line) as { text: string }).text).join('');
  } catch (error) {
    return (error as Error).message;
  }
}

export const says = (reason: FileReasonName): string => FILE_REASONS[reason].says;
