// Phrases in bytes: pairs of neighboring words and words of 16 letters, also inside base64.
// Names of fields, headers and codes are never pairs of words, so only text and marks of the demo match.

/** Words of fewer letters are not part of a pair. */
const WORDS = /[a-z]{4,40}(?: [a-z]{4,40})*/g;
const MARK_LETTERS = 16;
/** 16 letters in base64, and more. */
const BASE64 = /[A-Za-z0-9+/_-]{22,}/g;

export type OnPhrase = (phrase: string) => void;

/** Calls `onPhrase` with each phrase that the bytes contain as they are, in lower case. */
export function plainPhrases(bytes: Buffer, onPhrase: OnPhrase): void {
  for (const [run] of bytes.toString('latin1').toLowerCase().matchAll(WORDS)) {
    const words = run.split(' ');
    for (const [at, word] of words.entries()) {
      if (word.length === MARK_LETTERS) onPhrase(word);
      if (at > 0) onPhrase(`${words[at - 1]} ${word}`);
    }
  }
}

/** The same, and phrases inside base64. It is decoded from each of its first four characters: any text may precede it. */
export function phrases(bytes: Buffer, onPhrase: OnPhrase): void {
  plainPhrases(bytes, onPhrase);
  for (const [run] of bytes.toString('latin1').matchAll(BASE64))
    for (let shift = 0; shift < 4; shift++) plainPhrases(Buffer.from(run.slice(shift), 'base64'), onPhrase);
}
