// Position of a problem in a document, and the error for it. A field path contains no keys chosen by the caller (metadata, custom
// dimensions, unknown keys): they are content.
import { SealdexError } from '../runtime/errors.ts';
import { isNameable, unknownRemedy } from '../runtime/known-fields.ts';

/** A position in a document, as a linked list, so that the path is only built for errors. The list ends at the document. */
export interface Place {
  readonly parent?: Place | undefined;
  readonly key: string | number;
}

/** The whole document: the field of problems without a field of their own. */
export const ROOT_FIELD = 'document';

export const ROOT: Place = Object.freeze({ key: '' });

const KNOWN_FIELDS = new Set(
  `id type title description metadata custom_dimensions chunking_strategy max_chars_per_chunk sections text tables images
   document_parts context table_id image_id data headers rows text_value int_value float_value bool_value colspan rowspan
   image_data mime_type caption`.split(/\s+/),
);

/** All keys under these are chosen by the caller. */
const FREE_FORM_KEYS = new Set<string | number>(['metadata', 'custom_dimensions']);

/** The path of a position, such as `sections[2].tables[0].data.rows[1][0]`. It ends before the first key chosen by the caller. */
export function fieldOf(place: Place): string {
  const keys: (string | number)[] = [];
  for (let at = place; at.parent; at = at.parent) keys.push(at.key);
  let field = '';
  for (const key of keys.toReversed()) {
    if (typeof key === 'string' && !KNOWN_FIELDS.has(key)) break;
    field += typeof key === 'number' ? `[${key}]` : `${field === '' ? '' : '.'}${key}`;
    if (FREE_FORM_KEYS.has(key)) break;
  }
  return field === '' ? ROOT_FIELD : field;
}

/** `rule` continues the field: "must be a string". It contains no content. */
export const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });

/** `known`: the names that the place may have. */
export function unknownKey(place: Place, key: string, known: readonly string[]): SealdexError {
  const field = fieldOf(place);
  if (!isNameable(key)) return invalid(field, 'contains an unknown field (name withheld); remove it');
  const rule = `is not a known field; ${unknownRemedy(key, known)}`;
  return invalid(field === ROOT_FIELD ? key : `${field}.${key}`, rule);
}
