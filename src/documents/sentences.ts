// Sentence ends in a text of any length, found window by window, so that no single step is long.

/**
 * Sentences by the root rules of Unicode (UAX #29). ICU has no locale named `und` and would use the host's locale, whose rules
 * may differ (Greek ends a sentence with a semicolon). English has the unchanged root rules, so it is the fallback.
 */
const segmenter = new Intl.Segmenter(['und', 'en'], { granularity: 'sentence' });

/** A window takes about a millisecond. ICU took 100 ms for 10 MB without a sentence end. */
const WINDOW_CHARS = 65_536;

/** Distance before the end of a long sentence in which a continuation point is searched. */
const SEAM_CHARS = 1024;

/** Between two letters or digits, with at most one space, the rules keep no state of the text before. */
const SEAM = /[\p{L}\p{N}] ?(?=[\p{L}\p{N}])/gu;

/** A piece extends from the end of the previous one to `end` (UTF-16 units). */
export interface Piece {
  readonly end: number;
  /** False: the sentence continues in the next piece. */
  readonly endsSentence: boolean;
}

/** `at`, or one unit before if that would split a surrogate pair. */
export const characterStart = (text: string, at: number): number =>
  at < text.length && /^[\uDC00-\uDFFF]/.test(text[at] as string) && /[\uD800-\uDBFF]/.test(text[at - 1] ?? '')
    ? at - 1
    : at;

/**
 * Yields the pieces of a text, in order and without gaps. A sentence end that depends on more than half a window of following
 * text (without a letter or full stop) counts as one.
 */
export function* sentencePieces(text: string, windowChars = WINDOW_CHARS): Generator<Piece> {
  let start = 0;
  while (start < text.length) {
    const view = text.slice(start, characterStart(text, start + windowChars));
    const isLast = start + view.length === text.length;
    // A sentence end can depend on the text up to the end of the next sentence, so the last two wait.
    const waiting: number[] = [];
    let accepted = 0;
    for (const { index, segment } of segmenter.segment(view)) {
      waiting.push(start + index + segment.length);
      if (waiting.length <= 2) continue;
      accepted = waiting.shift() as number;
      yield { end: accepted, endsSentence: true };
    }
    if (isLast) {
      for (const end of waiting) yield { end, endsSentence: true };
      return;
    }
    if (accepted === 0) {
      // One long sentence, or one whose end depends on text after the window: continue within it, unless that already happened.
      const first = (waiting[0] as number) - start;
      const cut = waiting.length === 1 || first > view.length / 2 ? seam(view.slice(0, first)) : first;
      accepted = start + cut;
      yield { end: accepted, endsSentence: cut === first && waiting.length > 1 };
    }
    start = accepted;
  }
}

function seam(view: string): number {
  const from = Math.max(0, view.length - SEAM_CHARS);
  let last = view.length;
  for (const match of view.slice(from).matchAll(SEAM)) last = from + match.index + match[0].length;
  return last;
}
