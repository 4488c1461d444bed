// Fields of requests, filters and options from callers. An unknown field is rejected: an ignored typo would be noticed too late.
import { closestName } from './closest-name.ts';
import { SealdexError } from './errors.ts';

/** An unknown key is only named if it is unlikely to be content: short and plain. */
export const isNameable = (key: string): boolean => /^[A-Za-z0-9_.-]{1,64}$/.test(key);

/** Continues "is not a known field": what to do about it. */
export function unknownRemedy(key: string, known: readonly string[]): string {
  const closest = closestName(key, known);
  return closest === undefined ? 'remove it' : `remove it (did you mean ${closest}?)`;
}

const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });

/** @throws SealdexError `DOCUMENT_INVALID` with the unknown key as `field`, or `request` if it may be content */
function checkKeys(input: object, names: readonly string[], kind: string): void {
  for (const key of Object.keys(input)) {
    if (names.includes(key)) continue;
    if (!isNameable(key)) throw invalid('request', `contains an unknown ${kind} (name withheld); remove it`);
    throw invalid(key, `is not a known ${kind}; ${unknownRemedy(key, names)}`);
  }
}

/** The fields of a request, each read once. @throws SealdexError `DOCUMENT_INVALID` with `field` */
export function fieldsOf<Name extends string>(
  input: unknown,
  names: readonly Name[],
): { readonly [name in Name]?: unknown } {
  const [first, second] = names;
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw invalid('request', `must be an object with fields such as ${first} and ${second}`);
  checkKeys(input, names, 'request field');
  const given = input as { readonly [name in Name]?: unknown };
  return Object.fromEntries(names.map((name) => [name, given[name]])) as typeof given;
}

/** Names of the fields of a filter or of options. The compiler finds missing and unknown ones. */
export type FieldNames<T> = Readonly<Record<keyof T, true>>;

/** Returns the filter or the options. @throws SealdexError `DOCUMENT_INVALID` with `field` for an unknown field */
export function knownFields<T extends object>(input: T, names: FieldNames<T>): T {
  checkKeys(input, Object.keys(names), 'field of this call');
  return input;
}
