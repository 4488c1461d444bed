// A stream of bytes as lines of UTF-8 text, each checked and of bounded length.
// Knows nothing of JSON or documents.

export interface Line {
  /** 1-based. */
  readonly number: number;
  readonly text: string;
  /** Why there is no text, as it follows on a name: `is not valid UTF-8`. The lines after it are good. */
  readonly fault?: string;
}

export interface LineLimit {
  /** May be changed between two lines. */
  bytes: number;
}

export const TOO_LONG = 'exceeds SEALDEX_DOCUMENT_BYTES';
const NO_UTF8 = 'is not valid UTF-8';

/** Lines without their ends, a byte order mark on the first one left out. No more than one line is held. */
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

/** Refused rather than mended: a replacement character in the place of what was meant would be stored for good. */
function textOf(parts: readonly Buffer[], isFirst: boolean): { text: string; fault?: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: !isFirst }).decode(Buffer.concat(parts)) };
  } catch {
    return { text: '', fault: NO_UTF8 };
  }
}
