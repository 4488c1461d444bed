// The bounds of what is found in one file, whatever its format.

/** As deep as the sections of a document may be. */
export const DEEPEST_SECTION = 32;
export const MAX_SECTIONS = 100_000;
/** Every part of a section repeats its title and those above. A longer one also begins the text. */
export const TITLE_CHARS = 300;
export const MAX_FIELDS = 100;
export const MAX_ITEMS = 100;
export const VALUE_CHARS = 4096;
/** Of the metadata found in a file; the sender's own needs room beside it. */
export const FOUND_METADATA_BYTES = 64 * 1024;
