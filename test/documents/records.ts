// Writing and reading records in tests: any document is written, and its lines are parsed.
import { readRecord, type RecordHead, type RecordItem, writeRecord } from '../../src/documents/record.ts';
import { parseDocument } from '../../src/documents/shapes.ts';
import { WIDE } from './samples.ts';

export const PLACE = { tenant: 'acme', corpus: 'news', revision: 1_764_000_000_000_000 };

export const write = (document: unknown, limits = WIDE): Promise<Buffer> =>
  writeRecord({ ...PLACE, document: parseDocument(document, limits) }, limits);

export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function read(bytes: Uint8Array, size = 65_536): Promise<{ head: RecordHead; items: RecordItem[] }> {
  const { head, parts } = await readRecord(inPieces(bytes, size));
  return { head, items: await Array.fromAsync(parts) };
}

export const parsedLines = (bytes: Buffer): unknown[] =>
  bytes
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line));

export const sectioned = (...sections: unknown[]): unknown => ({ type: 'structured', id: 'd', sections });

export const partsOf = async (document: unknown): Promise<unknown[]> => {
  const [, ...lines] = parsedLines(await write(document));
  return lines.filter((line) => Object.hasOwn(line as object, 'text'));
};
