// Windows-1252 (and so Latin-1) detection. Almost any bytes are valid, so it excludes patterns that such text does not have:
// Cyrillic, Greek, Japanese or Chinese in their own encodings, or Polish and Czech.

/** Bytes that are undefined in Windows-1252. */
const UNDEFINED = new Set([0x81, 0x8d, 0x8f, 0x90, 0x9d]);
const LETTERS_BELOW_C0 = new Set([0x83, 0x8a, 0x8c, 0x8e, 0x9a, 0x9c, 0x9e, 0x9f, 0xaa, 0xba]);
/** Apostrophes, quotes, dashes and dots, which occur between two letters. */
const JOINERS = new Set([0x85, 0x91, 0x92, 0x93, 0x94, 0x96, 0x97, 0xa0, 0xab, 0xad, 0xb4, 0xb7, 0xbb]);

const isPlain = (byte: number): boolean => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
const isAccented = (byte: number): boolean =>
  byte >= 0xc0 ? byte !== 0xd7 && byte !== 0xf7 : LETTERS_BELOW_C0.has(byte);
const isLetter = (byte: number): boolean => isPlain(byte) || isAccented(byte);

/** Western words have at most two consecutive accented letters; more are another script. */
const LONG_ROW = 4;

export function isPlausibleWestern(bytes: Buffer): boolean {
  let beyondAscii = 0;
  let blank = 0;
  let accented = 0;
  let inRows = 0;
  let row = 0;
  let misplaced = 0;
  let previous = 0x20;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte <= 0x20) blank += 1;
    if (byte >= 0x80) {
      beyondAscii += 1;
      if (UNDEFINED.has(byte)) return false;
      if (isAccented(byte)) accented += 1;
      else if (!JOINERS.has(byte) && isLetter(previous) && isLetter(bytes[at + 1] ?? 0)) misplaced += 1;
    }
    if (byte >= 0x80 && isAccented(byte)) {
      row += 1;
      if (row === LONG_ROW) inRows += LONG_ROW;
      else if (row > LONG_ROW) inRows += 1;
    } else row = 0;
    previous = byte;
  }
  // Western text never consists mostly of such letters.
  if (beyondAscii >= LONG_ROW && beyondAscii * 2 > bytes.length - blank) return false;
  return inRows * 2 <= accented && misplaced * 20 <= accented + misplaced;
}
