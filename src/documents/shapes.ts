// The way from a value or text from outside to a checked document; the shapes that others may name come from here.
// Knows nothing of parts, records, tenants or keys.
import { checkCore, checkStructured } from './check.ts';
import { fieldOf, invalid, type Place, ROOT, ROOT_FIELD } from './field.ts';
import type { DocumentLimits, IndexDocument } from './document-types.ts';
import { duplicateKeys, parseRaw, type JsonPath } from '../runtime/json.ts';
import { copyPlain, type PlainObject } from './plain.ts';
import { formatSize } from '../runtime/units.ts';

export type {
  Cell,
  ChunkingStrategy,
  CoreDocument,
  CorePart,
  CustomDimensions,
  DocumentLimits,
  IndexDocument,
  Metadata,
  Section,
  StructuredDocument,
} from './document-types.ts';

const ID_CHARACTERS = 1024;

/**
 * Checks an unknown value (parsed JSON, or a caller's object) and answers a copy of it without its null fields.
 * @throws SealdexError `DOCUMENT_INVALID` with the path of the first fault as `field`.
 */
export function parseDocument(input: unknown, limits: DocumentLimits): IndexDocument {
  const document = copyPlain(input, limits);
  const type = (document['type'] ??= typeOf(document));
  if (type === 'structured') checkStructured(document, limits);
  else if (type === 'core') checkCore(document, limits);
  else throw invalid('type', 'must be "structured" or "core"');
  checkDocumentId(document['id']);
  // Both checks refuse all that their type does not say.
  return document as unknown as IndexDocument;
}

/**
 * What is wrong with a key that stands twice in one object. Keys that a caller chose are not named.
 * `path` is that of `duplicateKeys`, from the document on.
 */
export function duplicateField(path: JsonPath): { readonly field: string; readonly rule: string } {
  const place = path.reduce<Place>((parent, key) => ({ parent, key }), ROOT);
  const field = fieldOf(place);
  const isNamed = field !== fieldOf(place.parent ?? ROOT) && place.key !== '';
  return { field, rule: isNamed ? 'is given twice; remove one' : 'has the same key twice; remove one' };
}

/** The type of a document that does not name it, which clients of the API leave out; null if its shape is not clear. */
function typeOf({ sections, document_parts }: PlainObject): 'structured' | 'core' | null {
  if (sections !== undefined && document_parts === undefined) return 'structured';
  return document_parts !== undefined && sections === undefined ? 'core' : null;
}

/**
 * The same for a document as JSON text in UTF-8. What is no JSON at all has the field `document`.
 * @throws SealdexError `DOCUMENT_INVALID`; never with the parser's own message, which quotes content.
 */
export function parseDocumentJson(bytes: Uint8Array, limits: DocumentLimits): IndexDocument {
  if (bytes.byteLength > limits.documentBytes) {
    throw invalid(ROOT_FIELD, `must not exceed ${formatSize(limits.documentBytes)} as JSON; split the document`);
  }
  return parseDocument(parseJson(bytes), limits);
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(ROOT_FIELD, 'must be valid UTF-8');
  }
  if (text.startsWith('\uFEFF')) throw invalid(ROOT_FIELD, 'must not begin with a byte order mark');
  try {
    value = parseRaw(text);
  } catch {
    throw invalid(ROOT_FIELD, 'must be valid JSON');
  }
  for (const path of duplicateKeys(text)) {
    const { field, rule } = duplicateField(path);
    throw invalid(field, rule);
  }
  return value;
}

/**
 * A document id: 1 to 1,024 characters (code points) of any Unicode, no lone surrogates.
 * @throws SealdexError `DOCUMENT_INVALID`; the id itself is not in the message.
 */
export function checkDocumentId(id: unknown, field = 'id'): string {
  if (typeof id !== 'string') throw invalid(field, 'must be a string');
  if (!id.isWellFormed()) throw invalid(field, 'must be well-formed Unicode');
  // Unpacking is bounded: a character takes at most two units.
  if (id === '' || id.length > 2 * ID_CHARACTERS || Array.from(id).length > ID_CHARACTERS) {
    throw invalid(field, `must have 1 to ${ID_CHARACTERS} characters`);
  }
  return id;
}
