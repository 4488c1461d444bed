// JSON with integers of any size: parsing and printing that keep every digit, and the search for duplicate keys.

/** An integer beyond ±(2^53 − 1) as its digits; `JSON.stringify` writes it as it is. */
export interface RawInteger {
  readonly rawJSON: string;
}

/** TypeScript's types do not include it yet. */
const { rawJSON, isRawJSON } = JSON as unknown as {
  readonly rawJSON: (text: string) => RawInteger;
  readonly isRawJSON: (value: unknown) => value is RawInteger;
};

const INTEGER = /^-?\d+$/;

/** A text without a match contains no integer beyond ±(2^53 − 1): many digits in a row, or an exponent. */
const LARGE = /\d{16}|\d[eE]\+?\d+\s*(?:[,}\]]|$)/;

/** From here on, JavaScript prints a number with an exponent. */
const EXPONENT_FROM = 1e21;

export const rawInteger = (value: bigint): RawInteger => rawJSON(String(value));

/** True for any raw JSON, including values of callers that are not integers. */
export const isRaw = (value: unknown): boolean => isRawJSON(value);

export const isRawInteger = (value: unknown): value is RawInteger => isRawJSON(value) && INTEGER.test(value.rawJSON);

/**
 * True for a number beyond ±(2^53 − 1) that JSON writes as an integer. It may be the result of rounding: its digits are not those
 * that the source of a program contains.
 */
export const isRoundedInteger = (value: number): boolean =>
  Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < EXPONENT_FROM;

/** Parses JSON and replaces each integer that a number cannot hold with the result of `hold`. @throws SyntaxError */
function parseWith(text: string, hold: (source: string, value: number) => unknown): unknown {
  if (!LARGE.test(text)) return JSON.parse(text);
  const keep = (_key: string, value: unknown, { source }: { readonly source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined ? hold(source, value) : value;
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown);
}

/**
 * JSON whose large integers are `RawInteger`: for values that are written as JSON again. A double such as 1e20 is one too, since
 * JSON writes it as an integer: no result is a rounded integer. @throws SyntaxError
 */
export const parseRaw = (text: string): unknown =>
  parseWith(text, (source, value) => {
    if (INTEGER.test(source)) return rawJSON(source);
    return isRoundedInteger(value) ? rawJSON(String(value)) : value;
  });

/** JSON whose large integers are `bigint`: for values that a program reads. @throws SyntaxError */
export const parseBig = (text: string): unknown =>
  parseWith(text, (source, value) => (INTEGER.test(source) ? BigInt(source) : value));

/** `JSON.stringify` that writes a `bigint` digit for digit. */
export const stringifyBig = (value: unknown, indent?: number): string =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? rawInteger(each) : each), indent);

/**
 * Converts an integer to a double. Returns undefined if a double cannot hold it exactly. The digits that JavaScript prints for a
 * double count as exact.
 */
export function doubleOf({ rawJSON: digits }: RawInteger): number | undefined {
  const value = Number(digits);
  if (!Number.isFinite(value)) return undefined;
  return BigInt(value) === BigInt(digits) || BigInt(digits).toString() === value.toString() ? value : undefined;
}

/** Keys and indexes from the outermost value to a key. */
export type JsonPath = readonly (string | number)[];

interface Level {
  /** Undefined in an array. */
  readonly keys: Set<string> | undefined;
  key: string | number;
}

/**
 * Returns the paths of duplicate keys, in the order of the text. `JSON.parse` silently keeps the last one. The text must be valid
 * JSON.
 */
export function* duplicateKeys(text: string): Generator<JsonPath> {
  const levels: Level[] = [];
  // A string is a key if it follows `{` or a comma of an object.
  let isKeyNext = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    const level = levels.at(-1);
    if (char === '"') {
      const end = endOfString(text, at);
      if (isKeyNext && level?.keys) {
        level.key = JSON.parse(text.slice(at, end)) as string;
        if (level.keys.has(level.key)) yield levels.map(({ key }) => key);
        level.keys.add(level.key);
      }
      isKeyNext = false;
      at = end - 1;
    } else if (char === '{') {
      levels.push({ keys: new Set(), key: '' });
      isKeyNext = true;
    } else if (char === '[') levels.push({ keys: undefined, key: 0 });
    else if (char === '}' || char === ']') levels.pop();
    else if (char === ',') {
      if (typeof level?.key === 'number') level.key += 1;
      isKeyNext = level?.keys !== undefined;
    }
  }
}

/** Returns the position after the closing quote of the string at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); ; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
}
