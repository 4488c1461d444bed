// Sentences: converts clauses of the code table to sentences, and inserts a code into a message.

const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** `the document does not exist` as `The document does not exist.` */
export const sentenceOf = (clause: string): string => `${capitalize(clause)}.`;

/** Puts a mark in parentheses at the end of the first sentence, so that a command stays last: `No file (NOT_FOUND). Run …` */
export const withMark = (message: string, mark: string): string =>
  message.replace(/(?:(\. )(?=[A-Z])|(\.?)$)/, (_, next?: string, end?: string) => ` (${mark})${next ?? end}`);
