// Where sentences end in a text of any length, found window by window, so that no single step is long.
// Knows nothing of parts and their limits.

/**
 * Sentences by the root rules of Unicode (UAX #29). ICU has no locale named `und` and would take the machine's own, whose
 * rules may differ (Greek ends a sentence with a semicolon); English has the root rules unchanged, so it stands behind it.
 */
const segmenter = new Intl.Segmenter(['und', 'en'], { granularity: 'sentence' });

/** A window takes about a millisecond; ICU's whole answer for 10 MB without a sentence end took 100. */
const WINDOW_CHARS = 65_536;

/** How far back from its end a long sentence is searched for a place to go on from. */
const SEAM_CHARS = 1024;

/** From one letter or digit to the next, with at most a space between, the rules remember nothing of what was before. */
const SEAM = /[\p{L}\p{N}] ?(?=[\p{L}\p{N}])/gu;

/** A piece reaches from the end of the one before to `end` (UTF-16 units). */
export interface Piece {
  readonly end: number;
  /** False: the sentence goes on in the next piece. */
  readonly endsSentence: boolean;
}

/** `at`, or one unit before if that would split a surrogate pair. */
export const characterStart = (text: string, at: number): number =>
  at < text.length && /^[\uDC00-\uDFFF]/.test(text[at] as string) && /[\uD800-\uDBFF]/.test(text[at - 1] ?? '')
    ? at - 1
    : at;

/**
 * The pieces of a text, in order and without gaps; together they are the text. A sentence end that can only be told from
 * more than half a window of text after it (no letter and no full stop there) is taken as one.
 */
export function* sentencePieces(text: string, windowChars = WINDOW_CHARS): Generator<Piece> {
  let start = 0;
  while (start < text.length) {
    const view = text.slice(start, characterStart(text, start + windowChars));
    const isLast = start + view.length === text.length;
    // Whether a sentence ends can depend on the text after it, up to the end of the next one: the last two wait.
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
      // One long sentence, or one whose end hangs on text after the window: go on within it, unless that got us here.
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
