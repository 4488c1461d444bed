// Record: a document's plaintext bytes as NDJSON, written at once and read as a stream (contract). Imports no encryption, S3 or
// job code.
import { z } from 'zod';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import { parseBig } from '../runtime/json.ts';
import { isNewerThan, NEWER, newerMessage } from '../runtime/newer.ts';
import { chunkingOf } from './chunking.ts';
import type {
  CoreDocument,
  CustomDimensions,
  DocumentLimits,
  FileDocument,
  FileSource,
  Image,
  IndexDocument,
  Metadata,
  StructuredDocument,
  Table,
} from './document-types.ts';
import { invalid, ROOT_FIELD } from './field.ts';
import { LineCollector, splitLines } from './lines.ts';
import { type Yielder, createYielder } from './yielder.ts';
import { type Part, partsOf, sectionsInOrder } from './parts.ts';
import { approximateSize } from '../runtime/units.ts';

export type { FileSource, Image, Table } from './document-types.ts';
export type { Part } from './parts.ts';

/** Line 1 of a record. Its counts state how many lines of each kind follow. */
export interface RecordHead {
  /** Version of the record format. */
  readonly v: 1;
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the corpus. */
  readonly corpus: string;
  /** Id of the document. */
  readonly id: string;
  /** Revision of the document. */
  readonly revision: number;
  /** Shape of the request. */
  readonly type: 'structured' | 'core' | 'file';
  /** Title of the document. */
  readonly title?: string;
  /** Description of the document. */
  readonly description?: string;
  /** Metadata of the document. */
  readonly metadata: Metadata;
  /** Custom dimensions of the document. */
  readonly custom_dimensions?: CustomDimensions;
  /** For a file: its name, type and size. */
  readonly source?: FileSource;
  /** Number of parts. */
  readonly parts: number;
  /** Number of tables. */
  readonly tables: number;
  /** Number of images. */
  readonly images: number;
}

/** A part, a table or an image of a stored document. */
export type RecordItem = Part | { readonly table: Table } | { readonly image: Image };

/**
 * Maximum size of the record of a document of `bytes`. Parts repeat their section's metadata, so a small hostile document could
 * otherwise exceed the memory that a worker has reserved for it.
 */
export const recordBytesLimit = ({ documentBytes }: DocumentLimits, bytes = documentBytes): number =>
  Math.min(4 * documentBytes, 32 * bytes) + 1_048_576;

/**
 * Returns the record's bytes, ready to encrypt. `bytes` is the size of the document as JSON. Yields to the event loop every 10
 * ms. Awaits `makeRoom` with the record's size before the record is assembled.
 * @throws SealdexError `DOCUMENT_INVALID` if the parts make it larger than `recordBytesLimit`; the signal's reason
 */
export async function writeRecord(
  input: { tenant: string; corpus: string; revision: number; document: IndexDocument | FileDocument; bytes?: number },
  limits: DocumentLimits,
  options: { signal?: AbortSignal; clock?: Clock; makeRoom?: (bytes: number) => Promise<void> } = {},
): Promise<Buffer> {
  options.signal?.throwIfAborted();
  const { tenant, corpus, revision, document } = input;
  const yielder = createYielder(options.clock ?? systemClock, options.signal);
  const maxBytes = recordBytesLimit(limits, input.bytes);
  const lines = new LineCollector(maxBytes, (field) =>
    invalid(field, `brings the stored document above ${approximateSize(maxBytes)}; shorten metadata and titles`),
  );
  const isCore = document.type === 'core';
  const counts = isCore
    ? await addCore(document, lines, yielder)
    : await addStructured(document, limits, lines, yielder);
  const { title, description, custom_dimensions } = isCore ? ({} as Partial<StructuredDocument>) : document;
  const { id, type, metadata = {} } = document;
  const facts = {
    title,
    description,
    metadata,
    custom_dimensions,
    source: type === 'file' ? document.source : undefined,
  };
  const head = { v: 1, tenant, corpus, id, revision, type, ...facts, ...counts };
  return await lines.join(head, ROOT_FIELD, yielder, options.makeRoom);
}

type Counts = Pick<RecordHead, 'parts' | 'tables' | 'images'>;

async function addCore(document: CoreDocument, lines: LineCollector, yielder: Yielder): Promise<Counts> {
  const { document_parts, tables = [], images = [] } = document;
  for (const [index, part] of document_parts.entries()) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    const { text, metadata = {}, context, custom_dimensions, table_id, image_id } = part;
    lines.add({ text, metadata, context, custom_dimensions, table_id, image_id }, `document_parts[${index}]`);
  }
  for (const [index, table] of tables.entries()) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    lines.add({ table }, `tables[${index}]`);
  }
  for (const [index, image] of images.entries()) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    lines.add({ image }, `images[${index}]`);
  }
  return { parts: document_parts.length, tables: tables.length, images: images.length };
}

async function addStructured(
  document: StructuredDocument | FileDocument,
  limits: DocumentLimits,
  lines: LineCollector,
  yielder: Yielder,
): Promise<Counts> {
  const counts = { parts: 0, tables: 0, images: 0 };
  const chunking = chunkingOf(document.chunking_strategy, limits);
  const add = async (kind: keyof Counts, line: object, field: string): Promise<void> => {
    if (yielder.shouldYield()) await yielder.yieldNow();
    lines.add(line, field);
    counts[kind] += 1;
  };
  for (const placed of sectionsInOrder(document)) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    for await (const part of partsOf(placed, chunking, yielder)) await add('parts', part, placed.field);
  }
  for (const { section, field } of sectionsInOrder(document)) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    for (const table of section.tables ?? []) await add('tables', { table }, field);
  }
  for (const { section, field } of sectionsInOrder(document)) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    for (const image of section.images ?? []) await add('images', { image }, field);
  }
  return counts;
}

const anObject = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
);
const count = z.int().min(0);

/** Loose: fields that a later version adds are passed on. */
const LINES = {
  head: z.looseObject({
    v: z.literal(1),
    tenant: z.string(),
    corpus: z.string(),
    id: z.string(),
    revision: count,
    type: z.enum(['structured', 'core', 'file']),
    title: z.string().optional(),
    description: z.string().optional(),
    metadata: anObject,
    custom_dimensions: anObject.optional(),
    source: z.looseObject({ filename: z.string(), contentType: z.string(), bytes: count }).optional(),
    parts: count,
    tables: count,
    images: count,
  }),
  part: z.looseObject({
    text: z.string(),
    metadata: anObject,
    context: z.string().optional(),
    custom_dimensions: anObject.optional(),
    table_id: z.string().optional(),
    image_id: z.string().optional(),
  }),
  table: z.looseObject({ table: anObject }),
  image: z.looseObject({ image: anObject }),
};

/** No setting allows a document, and thus a line, of nearly this size. */
const MAX_LINE_BYTES = 2 ** 29;

export interface RecordReading extends AsyncDisposable {
  readonly head: RecordHead;
  /** Parts, then tables, then images. Ends the source when it ends, fails or is returned from. */
  readonly parts: AsyncGenerator<RecordItem>;
  /** Ends the source, for callers that only need the head. May be called twice. */
  close(): Promise<void>;
}

/**
 * Reads a record from a stream of decrypted bytes, no further than the head needs; `parts` continues. Errors of the source are
 * rethrown unchanged.
 * @throws SealdexError `OBJECT_UNREADABLE` (here or from `parts`) if the record is invalid or of a newer version
 */
export async function readRecord(source: AsyncIterable<Uint8Array>): Promise<RecordReading> {
  // Head and parts come from one generator: once it has started, return() always reaches the source.
  const reading = readLines(source);
  const first = await reading.next();
  const parts = reading as AsyncGenerator<RecordItem>;
  const close = async (): Promise<void> => {
    await parts.return(undefined);
  };
  return { head: first.value as RecordHead, parts, close, [Symbol.asyncDispose]: close };
}

const unreadable = (why: string): SealdexError =>
  new SealdexError('OBJECT_UNREADABLE', `Invalid record: ${why}.`, { reason: 'record' });

async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<RecordHead | RecordItem> {
  let head: RecordHead | undefined;
  let expected = 0;
  let seen = 0;
  for await (const { bytes, isWhole } of splitLines(source, MAX_LINE_BYTES)) {
    if (!isWhole) throw unreadable('the last line is truncated or too long');
    if (!head) {
      head = parseLine<RecordHead>(LINES.head, bytes, 'the first line is not a record head');
      expected = head.parts + head.tables + head.images;
      yield head;
      continue;
    }
    seen += 1;
    if (seen > expected) throw unreadable('it has more lines than its head states');
    const kind = seen <= head.parts ? 'part' : seen <= head.parts + head.tables ? 'table' : 'image';
    yield parseLine<RecordItem>(LINES[kind], bytes, `a line is not a ${kind}`);
  }
  if (!head) throw unreadable('it is empty');
  if (seen < expected) throw unreadable('it has fewer lines than its head states');
}

/** Converts large integers to numbers where doubles are expected; only metadata keeps `bigint`. */
function withDoubles(line: Record<string, unknown>): unknown {
  toDoubles(line['custom_dimensions']);
  const { headers, rows } = ((line['table'] as Table | undefined)?.data ?? {}) as { headers?: unknown; rows?: unknown };
  for (const cell of [headers, rows].flat(2)) toDoubles(cell);
  return line;
}

function toDoubles(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const numbers = value as Record<string, unknown>;
  for (const [key, number] of Object.entries(numbers)) if (typeof number === 'bigint') numbers[key] = Number(number);
}

function parseLine<T>(shape: z.ZodType, bytes: Buffer, otherwise: string): T {
  let isNewer = false;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = parseBig(text);
    if (shape.safeParse(value).success) return withDoubles(value as Record<string, unknown>) as T;
    isNewer = shape === LINES.head && isNewerThan(1, value);
  } catch {
    // The parser's message quotes content.
  }
  throw isNewer
    ? new SealdexError('OBJECT_UNREADABLE', newerMessage('The record'), { reason: NEWER })
    : unreadable(otherwise);
}
