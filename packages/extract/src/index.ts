// Exports of the package.
export { extract } from './extract.ts';
export type { Extracted, FileInput, Metadata, Section } from './extracted.ts';
export { FileError, type FileReason } from './file-error.ts';
export { CONTENT_TYPES } from './formats.ts';
export type { ExtractLimits } from './normalize.ts';
