// Where a fault sits in a document, and the one error that says so.
// A place names fields of ours only: keys that a caller chose (metadata, custom dimensions, unknown ones) are content.
import { SealdexError } from '../runtime/errors.ts';

/** A place in a document, kept as a chain so that only a fault pays for the text. The end of the chain is the document. */
export interface Place {
  readonly parent?: Place | undefined;
  readonly key: string | number;
}

/** The whole document: the field of faults that no field has alone. */
export const ROOT_FIELD = 'document';

export const ROOT: Place = Object.freeze({ key: '' });

const OURS = new Set(
  `id type title description metadata custom_dimensions chunking_strategy max_chars_per_chunk sections text tables images
   document_parts context table_id image_id data headers rows text_value int_value float_value bool_value colspan rowspan
   image_data mime_type caption`.split(/\s+/),
);

/** Keys under which every key is the caller's own. */
const CALLERS_KEYS = new Set<string | number>(['metadata', 'custom_dimensions']);

/** The path of a place, as `sections[2].tables[0].data.rows[1][0]`; it ends before the first key that is not ours. */
export function fieldOf(place: Place): string {
  const keys: (string | number)[] = [];
  for (let at = place; at.parent; at = at.parent) keys.push(at.key);
  let field = '';
  for (const key of keys.toReversed()) {
    if (typeof key === 'string' && !OURS.has(key)) break;
    field += typeof key === 'number' ? `[${key}]` : `${field === '' ? '' : '.'}${key}`;
    if (CALLERS_KEYS.has(key)) break;
  }
  return field === '' ? ROOT_FIELD : field;
}

/** `rule` goes on from the field: "must be a string". It holds no content. */
export const invalid = (field: string, rule: string): SealdexError =>
  new SealdexError('DOCUMENT_INVALID', `${field} ${rule}.`, { field });

/** An unknown key is named only where it can hardly be content: short and plain. */
export function unknownKey(place: Place, key: string): SealdexError {
  const field = fieldOf(place);
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(key)) {
    return invalid(field, 'contains an unknown field (name withheld); remove it');
  }
  return invalid(field === ROOT_FIELD ? key : `${field}.${key}`, 'is not a known field; remove it');
}
