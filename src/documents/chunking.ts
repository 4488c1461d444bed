// Chunking: splits a section's text by sentence or by size, within the limit and never inside a character. Chunks are untrimmed
// slices of the text in order; chunks of white space are left out.
import type { ChunkingStrategy, DocumentLimits } from './document-types.ts';
import type { Yielder } from './yielder.ts';
import { characterStart, sentencePieces } from './sentences.ts';

export interface Chunk {
  readonly text: string;
  /** Start in the text, in UTF-16 units. */
  readonly offset: number;
}

export interface Chunking {
  /** Maximum length of a chunk, in UTF-16 units; at least 2. */
  readonly maxChars: number;
  /** True: a chunk takes further sentences while they fit. */
  readonly joins: boolean;
}

/** The chunking of a document's strategy. */
export const chunkingOf = (strategy: ChunkingStrategy | undefined, limits: DocumentLimits): Chunking =>
  strategy?.type === 'max_chars_chunking_strategy'
    ? { maxChars: Math.min(strategy.max_chars_per_chunk, limits.partChars), joins: true }
    : { maxChars: limits.partChars, joins: false };

/**
 * Yields the chunks of a text in order. A sentence above the limit is split, at white space if there is any near the limit; with
 * `joins`, its last piece takes the next sentences. Yields to the event loop when due.
 */
export async function* chunksOf(text: string, { maxChars, joins }: Chunking, yielder: Yielder): AsyncGenerator<Chunk> {
  let start = 0;
  let wholeEnd = 0;
  const take = (end: number): Chunk | undefined => {
    const chunk = { text: text.slice(start, end), offset: start };
    start = end;
    return chunk.text.trim() === '' ? undefined : chunk;
  };
  for (const piece of sentencePieces(text)) {
    if (yielder.shouldYield()) await yielder.yieldNow();
    while (piece.end - start > maxChars) {
      const chunk = take(wholeEnd > start ? wholeEnd : splitPoint(text, start + maxChars, start));
      if (chunk) yield chunk;
    }
    if (!piece.endsSentence) continue;
    wholeEnd = piece.end;
    if (joins) continue;
    const chunk = take(wholeEnd);
    if (chunk) yield chunk;
  }
  const rest = take(text.length);
  if (rest) yield rest;
}

/**
 * Distance before the limit in which a split point is searched: white space, or a position that does not precede a combining
 * mark.
 */
const BACK_CHARS = 1024;
const BACK_MARKS = 32;

const isSpace = (text: string, at: number): boolean => /^\s$/.test(text[at] ?? '');

/** Returns true if the character at `at` belongs to the previous one: a mark, a variation selector, or part of a joined emoji. */
const joinsBackwards = (text: string, at: number): boolean =>
  /^[\p{M}\p{Emoji_Modifier}\u200D]/u.test(text.slice(at, at + 2)) || text[at - 1] === '\u200D';

/** The last suitable split point at or before `limit`, after `start`. */
function splitPoint(text: string, limit: number, start: number): number {
  const lowest = Math.max(start + Math.ceil((limit - start) / 2), limit - BACK_CHARS);
  for (let at = limit; at >= lowest; at--) {
    if (isSpace(text, at) || isSpace(text, at - 1)) return at;
  }
  for (let at = limit; at >= Math.max(lowest, limit - BACK_MARKS); at--) {
    if (characterStart(text, at) === at && !joinsBackwards(text, at)) return at;
  }
  return characterStart(text, limit);
}
