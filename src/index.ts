// What the package exports: an export list only.
export { SealdexError, type Code, type Disposition } from './errors.ts';
