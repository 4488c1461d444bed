// Checks documents: converts a value or text from a caller to a checked document, and exports the shapes.
import { checkCore, checkStructured, rejectUnknownRoot } from './check.ts';
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
 * Checks an unknown value (parsed JSON, or a caller's object) and returns a copy without null fields.
 * @throws SealdexError `DOCUMENT_INVALID` with the path of the first problem as `field`
 */
export function parseDocument(input: unknown, limits: DocumentLimits): IndexDocument {
  const document = copyPlain(input, limits);
  const type = (document['type'] ??= typeOf(document));
  if (type === 'structured') checkStructured(document, limits);
  else if (type === 'core') checkCore(document, limits);
  else {
    if (type === null) rejectUnknownRoot(document);
    throw invalid('type', 'must be "structured" or "core"');
  }
  checkDocumentId(document['id']);
  // Both checks reject everything outside their type.
  return document as unknown as IndexDocument;
}

/**
 * Returns the problem of a key that occurs twice in one object. Keys chosen by the caller are not named. `path` is that of
 * `duplicateKeys`, starting at the document.
 */
export function duplicateField(path: JsonPath): { readonly field: string; readonly rule: string } {
  const place = path.reduce<Place>((parent, key) => ({ parent, key }), ROOT);
  const field = fieldOf(place);
  const isNamed = field !== fieldOf(place.parent ?? ROOT) && place.key !== '';
  return { field, rule: isNamed ? 'is given twice; remove one' : 'has the same key twice; remove one' };
}

/** The type of a document without `type`, which clients of the API leave out; null if its shape is not clear. */
function typeOf({ sections, document_parts }: PlainObject): 'structured' | 'core' | null {
  if (sections !== undefined && document_parts === undefined) return 'structured';
  return document_parts !== undefined && sections === undefined ? 'core' : null;
}

/**
 * Does the same for a document as JSON text in UTF-8. Invalid JSON has the field `document`.
 * @throws SealdexError `DOCUMENT_INVALID`, never with the parser's message, which quotes content
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
 * Checks a document id: 1 to 1,024 characters (code points) of well-formed Unicode.
 * @throws SealdexError `DOCUMENT_INVALID`; its message does not contain the id
 */
export function checkDocumentId(id: unknown, field = 'id'): string {
  if (typeof id !== 'string') throw invalid(field, 'must be a string');
  if (!id.isWellFormed()) throw invalid(field, 'must be well-formed Unicode');
  // Bounds the work of Array.from: a character has at most two units.
  if (id === '' || id.length > 2 * ID_CHARACTERS || Array.from(id).length > ID_CHARACTERS) {
    throw invalid(field, `must have 1 to ${ID_CHARACTERS} characters`);
  }
  return id;
}
