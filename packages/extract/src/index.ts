// What the package exports: an export list only.
export { extract } from './extract.ts';
export type { Extracted, FileInput } from './extracted.ts';
export { FORMATS } from './formats.ts';
