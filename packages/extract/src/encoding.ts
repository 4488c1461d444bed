// Text decoding: detects the encoding of a text file by its bytes, then by the declared charset.
// An unclear encoding is an error: a wrong guess would store garbage unnoticed.
import { isUtf8 } from 'node:buffer';
import { isPlausibleWestern } from './western.ts';

/** Control characters that do not occur in texts; tab, line ends, backspace, form feed and escape do. */
const STRAY = new Set([...Array(32).keys(), 127].filter((code) => ![8, 9, 10, 11, 12, 13, 27].includes(code)));

/** Allows one stray character plus 1 %: logs and old listings may have some. */
const isClean = (strays: number, length: number): boolean => strays <= 1 + length / 100;

const decode = (label: string, bytes: Uint8Array, fatal = false): string =>
  new TextDecoder(label, { fatal }).decode(bytes);

const decodeWestern = (bytes: Buffer): string | undefined =>
  isPlausibleWestern(bytes) ? decode('windows-1252', bytes) : undefined;

/**
 * The text of `bytes` without byte order mark; undefined if they are not a text in a detectable encoding.
 * @param declared the declared encoding; ignored if there is a byte order mark or valid UTF-8
 */
export function decodeText(bytes: Buffer, declared?: string): string | undefined {
  const marked = decodeMarked(bytes);
  if (marked !== undefined) return marked;
  // ISO-2022-JP looks like ASCII except for its escape sequences.
  if (bytes.includes('\u001b$B') || bytes.includes('\u001b$@')) {
    const japanese = attempt('iso-2022-jp', bytes);
    if (japanese !== undefined) return japanese;
  }
  if (isUtf8(bytes) && isClean(countStrays(bytes), bytes.length)) return decode('utf-8', bytes);
  const wide = decodeWide(bytes);
  if (wide !== undefined) return wide;
  if (!isClean(countStrays(bytes), bytes.length)) return undefined;
  return decodeDeclared(bytes, declared) ?? decodeNearlyUtf8(bytes) ?? decodeWestern(bytes);
}

/** Decodes by byte order mark; undefined without one. */
function decodeMarked(bytes: Buffer): string | undefined {
  if (bytes.length >= 4 && bytes.readUInt32BE(0) === 0x0000feff) return decodeUtf32(bytes, false);
  if (bytes.length >= 4 && bytes.readUInt32LE(0) === 0x0000feff) return decodeUtf32(bytes, true);
  if (bytes.length >= 3 && bytes.readUIntBE(0, 3) === 0xefbbbf) return decode('utf-8', bytes);
  if (bytes.length >= 2 && bytes.readUInt16BE(0) === 0xfeff) return decodeUtf16('utf-16be', bytes);
  if (bytes.length >= 2 && bytes.readUInt16LE(0) === 0xfeff) return decodeUtf16('utf-16le', bytes);
  return undefined;
}

/** A mark of two bytes is weak evidence, so the rest must look like text too. */
function decodeUtf16(label: string, bytes: Buffer): string | undefined {
  const text = decode(label, bytes);
  return isClean(countStrayUnits(text), text.length) ? text : undefined;
}

function decodeUtf32(bytes: Buffer, isLittle: boolean): string | undefined {
  const texts: string[] = [];
  let codes: number[] = [];
  for (let at = 4; at + 4 <= bytes.length; at += 4) {
    const code = isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    if (code > 0x10ffff) return undefined;
    codes.push(code);
    if (codes.length === 4096) {
      texts.push(String.fromCodePoint(...codes));
      codes = [];
    }
  }
  return texts.join('') + String.fromCodePoint(...codes);
}

/** UTF-16 without a mark: Latin letters, spaces and line ends have zero bytes on one side and hardly any on the other. */
function decodeWide(bytes: Buffer): string | undefined {
  if (bytes.length < 2 || bytes.length % 2 !== 0) return undefined;
  const zeros: [number, number] = [0, 0];
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] === 0) zeros[at % 2 === 0 ? 0 : 1] += 1;
  const pairs = bytes.length / 2;
  const [first, second] = zeros;
  const label = second >= pairs / 10 && first <= pairs / 100 ? 'utf-16le' : 'utf-16be';
  if (label === 'utf-16be' && !(first >= pairs / 10 && second <= pairs / 100)) return undefined;
  const text = attempt(label, bytes);
  return text !== undefined && countStrayUnits(text) * 100 <= text.length ? text : undefined;
}

function decodeDeclared(bytes: Buffer, declared: string | undefined): string | undefined {
  // Valid UTF-8 and UTF-16 were detected before.
  if (declared === undefined || /^(?:utf|ucs|unicode)/i.test(declared)) return undefined;
  return attempt(declared, bytes);
}

/** UTF-8 with a few broken characters, such as a truncated one; they become U+FFFD. */
function decodeNearlyUtf8(bytes: Buffer): string | undefined {
  const text = decode('utf-8', bytes);
  let broken = 0;
  let whole = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0xfffd) broken += 1;
    else if (unit > 127) whole += 1;
  }
  return broken * 20 <= whole ? text : undefined;
}

function attempt(label: string, bytes: Buffer): string | undefined {
  try {
    return decode(label, bytes, true);
  } catch {
    return undefined;
  }
}

function countStrays(bytes: Buffer): number {
  let strays = 0;
  for (const byte of bytes) if ((byte < 32 || byte === 127) && STRAY.has(byte)) strays += 1;
  return strays;
}

function countStrayUnits(text: string): number {
  let strays = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    // Private use characters and replacement characters are frequent in random bytes.
    if (unit >= 0xe000 ? unit < 0xf900 || unit >= 0xfffd : unit < 128 && STRAY.has(unit)) strays += 1;
  }
  return strays;
}

/** The `charset` of a content type; undefined without one. */
export function charsetOf(contentType: string | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType ?? '')?.[1];
}
