// Documents from files: one JSON document, an array of them, or NDJSON, told apart by how they begin.
// Reads lines as they come, so that NDJSON may be of any length. What a document says is checked elsewhere.
import { createReadStream } from 'node:fs';

export interface Found {
  readonly file: string;
  /** 1-based; of an array, the place of the element. */
  readonly line: number;
  readonly document?: unknown;
  /** Why this line is no document; the others go on. */
  readonly fault?: string;
}

interface Line {
  readonly number: number;
  /** undefined: longer than the limit. */
  readonly text: string | undefined;
}

/** A file that is one value is read whole; V8's longest string is the bound. */
const WHOLE_BYTES = 400 * 1_048_576;

const TOO_LONG = 'it is longer than SEALDEX_DOCUMENT_BYTES allows';
const NO_JSON = 'it is not valid JSON';

/** The documents of a file, `-` for standard input. First non-space `[`: an array; line 1 alone parses: NDJSON; else one document. */
export async function* documentsIn(file: string, documentBytes: number): AsyncGenerator<Found> {
  const lines = linesOf(file === '-' ? process.stdin : createReadStream(file), WHOLE_BYTES);
  const first = await nextFilled(lines);
  const begins = first?.text?.trimStart();
  const isLines = begins !== undefined && !begins.startsWith('[') && parse(begins) !== undefined;
  if (!first) yield { file, line: 1, fault: 'it is empty' };
  else if (isLines) yield* ofLines(file, first, lines, documentBytes);
  else yield* ofWhole(file, first, lines);
}

async function* ofLines(
  file: string,
  first: Line,
  rest: AsyncGenerator<Line>,
  documentBytes: number,
): AsyncGenerator<Found> {
  for (let line: Line | undefined = first; line; line = await nextFilled(rest)) {
    const at = { file, line: line.number };
    // A character takes at least a byte: this refuses early what the document check would refuse anyway.
    if (line.text === undefined || line.text.length > documentBytes) yield { ...at, fault: TOO_LONG };
    else yield found(at, line.text);
  }
}

async function* ofWhole(file: string, first: Line, rest: AsyncGenerator<Line>): AsyncGenerator<Found> {
  const texts: string[] = [];
  let length = 0;
  for (
    let line: Line | undefined = first;
    line && length <= WHOLE_BYTES;
    line = (await rest.next()).value as Line | undefined
  ) {
    length += line.text?.length ?? Number.POSITIVE_INFINITY;
    texts.push(line.text ?? '');
  }
  const value = length > WHOLE_BYTES ? undefined : parse(texts.join('\n'));
  if (length > WHOLE_BYTES)
    yield { file, line: 1, fault: 'it is too long to be read whole: write it as NDJSON, one document a line' };
  else if (value === undefined) yield { file, line: 1, fault: NO_JSON };
  else if (!Array.isArray(value)) yield { file, line: 1, document: value };
  else if (value.length === 0) yield { file, line: 1, fault: 'the array is empty' };
  else for (const [index, document] of value.entries()) yield { file, line: index + 1, document };
}

function found(at: { file: string; line: number }, text: string): Found {
  const document = parse(text);
  return document === undefined ? { ...at, fault: NO_JSON } : { ...at, document };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function nextFilled(lines: AsyncGenerator<Line>): Promise<Line | undefined> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done) return undefined;
    if (value.text === undefined || value.text.trim() !== '') return value;
  }
}

/** Lines as UTF-8 text; bytes that are no UTF-8 end as a lone replacement, which JSON accepts in strings only. */
async function* linesOf(stream: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Line> {
  let number = 1;
  let held: Buffer[] = [];
  let bytes = 0;
  const line = (): Line => {
    const text =
      bytes > maxBytes
        ? undefined
        : Buffer.concat(held)
            .toString('utf8')
            .replace(number === 1 ? /^\uFEFF/ : /(?!)/, '');
    held = [];
    bytes = 0;
    return { number: number++, text };
  };
  const hold = (part: Buffer): void => {
    bytes += part.length;
    if (bytes > maxBytes) held = [];
    else held.push(part);
  };
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      hold(chunk.subarray(from, end));
      from = end + 1;
      yield line();
    }
    if (from < chunk.length) hold(chunk.subarray(from));
  }
  if (bytes > 0) yield line();
}
