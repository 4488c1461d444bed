// Finds words in bytes: runs of letters as they stand, and in everything that looks like base64 and is decoded.
// Linear in the bytes. Knows nothing of where the bytes are from.

/** Shorter ones turn up by chance; longer ones are no words. */
const LEAST_LETTERS = 10;
const MOST_LETTERS = 40;
/** Less base64 than this cannot hold a word. */
const LEAST_BASE64 = 14;

const LETTER = 1;
const BASE64 = 2;

const KINDS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (/[A-Za-z]/.test(character)) return LETTER | BASE64;
  return /[0-9+/_-]/.test(character) ? BASE64 : 0;
});

export type VisitWord = (word: string) => void;

/** Every word of 10 to 40 ASCII letters in lower case, as it stands in the bytes. */
export function plainWords(bytes: Buffer, visit: VisitWord): void {
  runs(bytes, LETTER, (from, to) => {
    const letters = to - from;
    if (letters >= LEAST_LETTERS && letters <= MOST_LETTERS) visit(bytes.toString('latin1', from, to).toLowerCase());
  });
}

/** The same, and those that base64 hides, whatever precedes it: it is decoded from each of its first four characters on. */
export function words(bytes: Buffer, visit: VisitWord): void {
  plainWords(bytes, visit);
  runs(bytes, BASE64, (from, to) => {
    if (to - from < LEAST_BASE64) return;
    const text = bytes.toString('latin1', from, to);
    for (let shift = 0; shift < 4; shift++) plainWords(Buffer.from(text.slice(shift), 'base64'), visit);
  });
}

function runs(bytes: Buffer, kind: number, visit: (from: number, to: number) => void): void {
  let from = -1;
  for (let at = 0; at <= bytes.length; at++) {
    const isInside = at < bytes.length && ((KINDS[bytes[at] ?? 0] ?? 0) & kind) !== 0;
    if (isInside && from < 0) from = at;
    else if (!isInside && from >= 0) {
      visit(from, at);
      from = -1;
    }
  }
}
