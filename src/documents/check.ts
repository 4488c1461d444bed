// Shapes of documents as zod schemas of one level each, and the check of a document, which stops at the first problem. A deep
// schema would report millions of problems for a hostile document.
import { z } from 'zod';
import { doubleOf, isRawInteger } from '../runtime/json.ts';
import { fieldOf, invalid, type Place, ROOT, unknownKey } from './field.ts';
import type { DocumentLimits } from './document-types.ts';
import type { Plain, PlainObject } from './plain.ts';

const must = (what: string) => ({
  error: (issue: { input?: unknown }): string =>
    issue.input === undefined ? `is missing; it must be ${what}` : `must be ${what}`,
});

const isObject = (value: unknown): value is PlainObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawInteger(value);

const isNumber = (value: unknown): boolean => typeof value === 'number' || isRawInteger(value);

const text = z.string(must('a string'));
const list = z.custom<Plain[]>((value) => Array.isArray(value), must('an array'));
const filled = z.custom<Plain[]>(
  (value) => Array.isArray(value) && value.length > 0,
  must('an array with at least one entry'),
);
const free = z.custom<PlainObject>(isObject, must('an object'));
const dimensions = z.custom<PlainObject>(
  (value) => isObject(value) && Object.values(value).every(isNumber),
  must('an object of numbers'),
);
const int32 = z.int32(must('a whole number from -2147483648 to 2147483647'));
const span = z.int(must('a whole number of at least 1')).min(1, must('a whole number of at least 1'));
const object = <T extends z.core.$ZodShape>(shape: T) => z.strictObject(shape, must('an object'));

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

const SHAPES = {
  structured: object({
    id: text,
    type: z.literal('structured'),
    title: text.nullish(),
    description: text.nullish(),
    metadata: free.nullish(),
    custom_dimensions: dimensions.nullish(),
    chunking_strategy: free.nullish(),
    sections: filled,
  }),
  section: object({
    id: int32.nullish(),
    title: text.nullish(),
    text: text.nullish(),
    metadata: free.nullish(),
    tables: list.nullish(),
    images: list.nullish(),
    sections: list.nullish(),
  }),
  core: object({
    id: text,
    type: z.literal('core'),
    metadata: free.nullish(),
    tables: list.nullish(),
    images: list.nullish(),
    document_parts: filled,
  }),
  part: object({
    text,
    metadata: free.nullish(),
    context: text.nullish(),
    table_id: text.nullish(),
    image_id: text.nullish(),
    custom_dimensions: dimensions.nullish(),
  }),
  table: object({
    id: text.nullish(),
    title: text.nullish(),
    description: text.nullish(),
    data: free.nullish(),
  }),
  tableData: object({ headers: list.nullish(), rows: list.nullish() }),
  cell: object({
    text_value: text.nullish(),
    int_value: z.int(must(`a whole number from -${Number.MAX_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`)).nullish(),
    float_value: z.custom<Plain>(isNumber, must('a number')).nullish(),
    bool_value: z.boolean(must('true or false')).nullish(),
    colspan: span.nullish(),
    rowspan: span.nullish(),
  }),
  image: object({
    id: text.nullish(),
    title: text.nullish(),
    caption: text.nullish(),
    description: text.nullish(),
    image_data: free,
  }),
  imageData: object({
    data: z.custom<string>(
      (value) => typeof value === 'string' && value.length % 4 === 0 && BASE64.test(value),
      must('base64 with its padding'),
    ),
    mime_type: text.min(1, must('a MIME type')),
  }),
  sentences: object({ type: text }),
  maxChars: object({ type: text, max_chars_per_chunk: z.number(must('a number')) }),
};

const ROOT_KEYS = Object.keys({ ...SHAPES.structured.shape, ...SHAPES.core.shape });

/** Rejects a field that neither type has, for a document whose type is not clear. @throws SealdexError `DOCUMENT_INVALID` */
export function rejectUnknownRoot(document: PlainObject): void {
  const unknown = Object.keys(document).find((key) => !ROOT_KEYS.includes(key));
  if (unknown !== undefined) throw unknownKey(ROOT, unknown, ROOT_KEYS);
}

/** Checks one object by one shape, then removes its null fields. */
function match(shape: z.ZodObject, value: Plain, place: Place): PlainObject {
  const result = shape.safeParse(value);
  if (!result.success) {
    const { issues } = result.error;
    // First: a misspelled field is often one that is missing too.
    const unknown = issues.find((each) => each.code === 'unrecognized_keys');
    if (unknown) throw unknownKey(place, unknown.keys[0] ?? '', Object.keys(shape.shape));
    const [issue] = issues;
    const key = issue?.path[0];
    throw invalid(fieldOf(typeof key === 'string' ? { parent: place, key } : place), issue?.message ?? 'is invalid');
  }
  const object = value as PlainObject;
  for (const key of Object.keys(object)) if (object[key] === null) delete object[key];
  return object;
}

/** Converts each large integer of an object to a double where doubles are expected. */
function convertDoubles(object: Plain | undefined, place: Place, keys = Object.keys(object ?? {})): void {
  const numbers = object as PlainObject;
  for (const key of keys) {
    const value = numbers[key];
    if (!isRawInteger(value)) continue;
    const double = doubleOf(value);
    if (double === undefined)
      throw invalid(
        fieldOf({ parent: place, key }),
        'must not contain an integer that a 64-bit floating-point number cannot represent exactly',
      );
    numbers[key] = double;
  }
}

function each(value: Plain | undefined, place: Place, check: (item: Plain, place: Place) => void): void {
  if (value === undefined) return;
  if (!Array.isArray(value)) throw invalid(fieldOf(place), 'must be an array');
  for (const [key, item] of value.entries()) check(item, { parent: place, key });
}

const within = (parent: Place, key: string): Place => ({ parent, key });

const isBlank = (value: Plain | undefined): boolean => typeof value !== 'string' || value.trim() === '';
const isFilled = (value: Plain | undefined): boolean => Array.isArray(value) && value.length > 0;

/** @throws SealdexError `DOCUMENT_INVALID` */
export function checkStructured(document: Plain, limits: DocumentLimits): void {
  const { sections, chunking_strategy, custom_dimensions } = match(SHAPES.structured, document, ROOT);
  convertDoubles(custom_dimensions, within(ROOT, 'custom_dimensions'));
  if (chunking_strategy !== undefined) checkStrategy(chunking_strategy, within(ROOT, 'chunking_strategy'), limits);
  each(sections, within(ROOT, 'sections'), checkSection);
}

/** @throws SealdexError `DOCUMENT_INVALID` */
export function checkCore(document: Plain, limits: DocumentLimits): void {
  const { document_parts, tables, images } = match(SHAPES.core, document, ROOT);
  each(document_parts, within(ROOT, 'document_parts'), (item, place) => {
    const part = match(SHAPES.part, item, place);
    convertDoubles(part['custom_dimensions'], within(place, 'custom_dimensions'));
    const units = (part['text'] as string).length;
    if (units > limits.partChars) {
      throw invalid(
        fieldOf(within(place, 'text')),
        `must not be longer than ${limits.partChars} characters (it has ${units})`,
      );
    }
    if (isBlank(part['text']) && part['table_id'] === undefined && part['image_id'] === undefined) {
      throw invalid(fieldOf(within(place, 'text')), 'must not be blank unless the part has table_id or image_id');
    }
  });
  each(tables, within(ROOT, 'tables'), checkTable);
  each(images, within(ROOT, 'images'), checkImage);
}

/** @throws SealdexError `DOCUMENT_INVALID` */
export function checkStrategy(value: Plain, place: Place, limits: DocumentLimits): void {
  const type = isObject(value) ? value['type'] : undefined;
  if (type === 'sentence_chunking_strategy') {
    match(SHAPES.sentences, value, place);
    return;
  }
  if (type !== 'max_chars_chunking_strategy') {
    const rule = 'must be "sentence_chunking_strategy" or "max_chars_chunking_strategy"';
    throw invalid(fieldOf(within(place, 'type')), rule);
  }
  const { max_chars_per_chunk: chars } = match(SHAPES.maxChars, value, place);
  if (!Number.isInteger(chars) || (chars as number) < 100 || (chars as number) > limits.partChars) {
    const rule = `must be a whole number from 100 to ${limits.partChars}`;
    throw invalid(fieldOf(within(place, 'max_chars_per_chunk')), rule);
  }
}

/** Recursion is safe: the plain copy has at most 32 levels of sections. */
function checkSection(value: Plain, place: Place): void {
  const section = match(SHAPES.section, value, place);
  const hasChildren = isFilled(section['sections']) || isFilled(section['tables']);
  if (!hasChildren && section['text'] === undefined) {
    throw invalid(fieldOf(within(place, 'text')), 'is required unless the section has sections or tables');
  }
  if (!hasChildren && isBlank(section['text']) && isBlank(section['title']) && !isFilled(section['images'])) {
    throw invalid(
      fieldOf(within(place, 'text')),
      'must not be blank unless the section has a title, images, sections or tables',
    );
  }
  each(section['tables'], within(place, 'tables'), checkTable);
  each(section['images'], within(place, 'images'), checkImage);
  each(section['sections'], within(place, 'sections'), checkSection);
}

function checkTable(value: Plain, place: Place): void {
  const table = match(SHAPES.table, value, place);
  if (table['data'] === undefined) return;
  const at = within(place, 'data');
  const data = match(SHAPES.tableData, table['data'], at);
  for (const key of ['headers', 'rows']) {
    each(data[key], within(at, key), (row, place) => each(row, place, checkCell));
  }
}

const VALUES = ['text_value', 'int_value', 'float_value', 'bool_value'];

function checkCell(value: Plain, place: Place): void {
  const cell = match(SHAPES.cell, value, place);
  convertDoubles(cell, place, ['float_value']);
  if (VALUES.filter((name) => cell[name] !== undefined).length !== 1) {
    throw invalid(fieldOf(place), `must have exactly one of ${VALUES.join(', ')}`);
  }
}

function checkImage(value: Plain, place: Place): void {
  const image = match(SHAPES.image, value, place);
  match(SHAPES.imageData, image['image_data'] ?? null, within(place, 'image_data'));
}
