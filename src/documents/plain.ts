// Copies plain JSON from callers, within limits of depth and size, and rejects anything else. Only `sections` and `metadata` are
// treated specially: both have their own limits.
import { isRaw, isRawInteger, isRoundedInteger, rawInteger, type RawInteger } from '../runtime/json.ts';
import type { DocumentLimits } from './document-types.ts';
import { fieldOf, invalid, type Place, ROOT_FIELD } from './field.ts';
import { formatSize } from '../runtime/units.ts';

/** Maximum levels of sections, and of objects and arrays inside one metadata field (itself the first). */
const NESTING_LEVELS = 32;

/** Maximum depth outside metadata: 32 levels of sections (two each) and a table's cell below them. */
const MAX_DEPTH = 2 * NESTING_LEVELS + 16;

/**
 * Objects and arrays of one document. Copying and checking this many held the event loop for 140 to 340 ms in measurements. The
 * eleven million that fit in 32 MB took 4 to 10 s and a gigabyte. 160,000 parts with metadata have 320,000.
 */
const MAX_NODES = 500_000;

/** An integer that a number cannot hold is a `RawInteger`. */
export type Plain = null | boolean | number | string | RawInteger | Plain[] | PlainObject;
export type PlainObject = { [key: string]: Plain };

interface Frame extends Place {
  readonly parent?: Frame | undefined;
  readonly source: Readonly<Record<string | number, unknown>>;
  readonly copy: Plain[] | PlainObject;
  /** Undefined for an array. */
  readonly keys: readonly string[] | undefined;
  readonly length: number;
  next: number;
  readonly depth: number;
  readonly sectionLevel: number;
  /** 0 outside metadata. */
  readonly metadataLevel: number;
}

/**
 * Returns a deep copy of `input`, which the caller cannot change.
 * @throws SealdexError `DOCUMENT_INVALID` for anything that JSON cannot represent, ill-formed Unicode, a key `__proto__`, and too
 * many levels, objects or bytes
 */
export function copyPlain(input: unknown, limits: DocumentLimits): PlainObject {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw invalid(ROOT_FIELD, 'must be an object');
  const sizes = new Sizes(limits);
  const root = open(input, undefined, '', sizes);
  let frame: Frame | undefined = root;
  while (frame) {
    if (frame.next === frame.length) {
      frame = frame.parent;
      continue;
    }
    const index = frame.next++;
    if (index > 0) sizes.add(1, frame);
    const key = frame.keys?.[index] ?? index;
    checkKey(key, frame, sizes);
    const value = frame.source[key];
    if (typeof value === 'object' && value !== null && !isRaw(value)) {
      const child = open(value, frame, key, sizes);
      (frame.copy as Record<string | number, Plain>)[key] = child.copy;
      frame = child;
    } else {
      (frame.copy as Record<string | number, Plain>)[key] = leaf(value, frame, key, sizes);
    }
  }
  return root.copy as PlainObject;
}

function open(value: object, parent: Frame | undefined, key: string | number, sizes: Sizes): Frame {
  const isArray = Array.isArray(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = isArray ? prototype === Array.prototype : prototype === null || prototype === Object.prototype;
  if (!isPlain || Object.getOwnPropertySymbols(value).length > 0) {
    throw invalid(fieldOf({ parent, key }), 'must be plain JSON, not a class instance');
  }
  const keys = isArray ? undefined : Object.keys(value);
  const isOutside = (parent?.metadataLevel ?? 0) === 0;
  const frame: Frame = {
    parent,
    key,
    source: value as Record<string, unknown>,
    copy: isArray ? [] : {},
    keys,
    length: keys?.length ?? (value as unknown[]).length,
    next: 0,
    depth: (parent?.depth ?? 0) + 1,
    sectionLevel: (parent?.sectionLevel ?? 0) + (isOutside && key === 'sections' ? 1 : 0),
    metadataLevel: isOutside ? (key === 'metadata' ? 1 : 0) : (parent?.metadataLevel ?? 0) + 1,
  };
  const isTooDeep = isOutside && key !== 'metadata' ? frame.depth > MAX_DEPTH : frame.metadataLevel > NESTING_LEVELS;
  if (isTooDeep || frame.sectionLevel > NESTING_LEVELS) {
    throw invalid(fieldOf(frame), `must not be nested more than ${NESTING_LEVELS} levels deep`);
  }
  sizes.addNode(frame);
  return frame;
}

function checkKey(key: string | number, parent: Frame, sizes: Sizes): void {
  if (typeof key === 'number') {
    if (!Object.hasOwn(parent.source, key)) throw invalid(fieldOf(parent), 'must not be a sparse array');
    return;
  }
  if (key === '__proto__') throw invalid(fieldOf(parent), 'must not have a key named __proto__');
  if (!key.isWellFormed()) throw invalid(fieldOf(parent), 'must not have a key that is not well-formed Unicode');
  sizes.addText(key, parent);
  sizes.add(1, parent);
}

function leaf(value: unknown, parent: Frame, key: string | number, sizes: Sizes): Plain {
  const rejected = (rule: string): Error => invalid(fieldOf({ parent, key }), rule);
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw rejected('must be well-formed Unicode');
    sizes.addText(value, parent);
    return value;
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw rejected('must be a finite number');
    if (parent.metadataLevel > 0 && isRoundedInteger(value)) {
      const rule =
        'contains an integer beyond ±(2^53 − 1) as a number, which may be rounded; pass a bigint or a string';
      throw rejected(rule);
    }
    sizes.add(String(value).length, parent);
    return value;
  }
  if (typeof value === 'bigint' || isRawInteger(value)) {
    const integer = typeof value === 'bigint' ? rawInteger(value) : value;
    sizes.add(integer.rawJSON.length, parent);
    return integer;
  }
  if (typeof value === 'boolean' || value === null) {
    sizes.add(String(value).length, parent);
    return value;
  }
  throw rejected(value === undefined ? 'must not be undefined; omit the field' : 'must be a JSON value');
}

/**
 * Returns true if JSON writes a text unchanged, with one byte per unit. Tests short texts only: there are many keys and cells.
 */
const isVerbatim = (text: string): boolean => text.length <= 32 && /^[ !#-[\]-~]*$/.test(text);

/** Counts the document's size as UTF-8 JSON without white space, and the size of its metadata. */
class Sizes {
  readonly #limits: DocumentLimits;
  #document = 0;
  #metadata = 0;
  #nodes = 0;

  constructor(limits: DocumentLimits) {
    this.#limits = limits;
  }

  /** An object or array. */
  addNode(frame: Frame): void {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) {
      throw invalid(ROOT_FIELD, `must not contain more than ${MAX_NODES} objects and arrays; split the document`);
    }
    this.add(2, frame);
  }

  addText(text: string, frame: Frame): void {
    // A text takes at least one byte per unit, so one that is too long is not serialized.
    if (text.length > this.#limits.documentBytes) throw this.#tooLarge();
    this.add(isVerbatim(text) ? text.length + 2 : Buffer.byteLength(JSON.stringify(text)), frame);
  }

  add(bytes: number, frame: Frame): void {
    this.#document += bytes;
    if (frame.metadataLevel > 0) {
      this.#metadata += bytes;
      if (this.#metadata > this.#limits.metadataBytes) {
        throw invalid(
          fieldOf(frame),
          `brings the document's total metadata above ${formatSize(this.#limits.metadataBytes)} (including parts and sections)`,
        );
      }
    }
    if (this.#document > this.#limits.documentBytes) throw this.#tooLarge();
  }

  #tooLarge(): Error {
    return invalid(ROOT_FIELD, `must not exceed ${formatSize(this.#limits.documentBytes)} as JSON; split the document`);
  }
}
