// Limits on the content of one file, for all formats.

/** Maximum depth of sections in a document. */
export const MAX_SECTION_DEPTH = 32;
export const MAX_SECTIONS = 100_000;
/** Every part of a section repeats its titles, so a longer title is cut, and the full title begins the text. */
export const TITLE_CHARS = 300;
export const MAX_FIELDS = 100;
export const MAX_ITEMS = 100;
export const VALUE_CHARS = 4096;
/** Maximum metadata found in a file; the sender's metadata is added to it. */
export const FOUND_METADATA_BYTES = 64 * 1024;
