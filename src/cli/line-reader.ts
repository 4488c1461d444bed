// Line reader: splits a stream of bytes into lines of valid UTF-8 text with bounded length.

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** Why there is no text, as text after a name: `is not valid UTF-8`. Later lines are not affected. */
  readonly fault?: string;
}

export interface LineLimit {
  /** Maximum length of a line; may be changed between two lines. */
  bytes: number;
}

export const TOO_LONG = 'exceeds SEALDEX_DOCUMENT_BYTES';
const NO_UTF8 = 'is not valid UTF-8';

/** Yields lines without line ends, and without a byte order mark. Holds at most one line in memory. */
export async function* linesOf(stream: AsyncIterable<Buffer>, limit: LineLimit): AsyncGenerator<Line> {
  let number = 1;
  let held: Buffer[] = [];
  let bytes = 0;
  const line = (): Line => {
    const made = bytes > limit.bytes ? { text: '', fault: TOO_LONG } : textOf(held, number === 1);
    held = [];
    bytes = 0;
    return { number: number++, ...made };
  };
  const hold = (part: Buffer): void => {
    bytes += part.length;
    if (bytes > limit.bytes) held = [];
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

/** Invalid UTF-8 is rejected: a replacement character would be stored in place of the original text. */
function textOf(parts: readonly Buffer[], isFirst: boolean): { text: string; fault?: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: !isFirst }).decode(Buffer.concat(parts)) };
  } catch {
    return { text: '', fault: NO_UTF8 };
  }
}
