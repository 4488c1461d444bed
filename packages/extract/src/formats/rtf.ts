// Rich text (RTF). Metadata and the completeness of groups are read here, because officeparser ignores them.
import type { Extracted, FileInput } from '../extracted.ts';
import { MIME } from '../mime.ts';
import { sectionsOf } from '../office-outline.ts';
import { readTree } from '../office.ts';
import { FileError } from '../file-error.ts';

/** The metadata precedes the text. */
const INFO_WITHIN = 256 * 1024;
const INFO_CHARACTERS = 16 * 1024;
const MAX_GROUP_DEPTH = 500;
const MAX_UNPACKED_BYTES = 32 * 1024 * 1024;

const WESTERN = new TextDecoder('windows-1252');

const OPEN = 0x7b;
const CLOSE = 0x7d;
const BACKSLASH = 0x5c;

const numberIn = (text: string, word: string): number | undefined => {
  const digits = new RegExp(`\\\\${word}(\\d{1,9})`).exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
};

/** @throws FileError `damaged`, `too-many-parts`, `too-deep` */
export async function readRtf({ bytes }: FileInput): Promise<Extracted> {
  checkGroups(bytes);
  const tree = await readTree(withSymbols(bytes), 'rtf', MAX_UNPACKED_BYTES);
  const head = bytes.toString('latin1', 0, INFO_WITHIN);
  const at = head.indexOf('{\\info');
  const info = at === -1 ? '' : head.slice(at, at + INFO_CHARACTERS);
  const facts = {
    author: textIn(info, 'author'),
    subject: textIn(info, 'subject'),
    keywords: textIn(info, 'keywords'),
    created: dateIn(info, 'creatim'),
    modified: dateIn(info, 'revtim'),
    pages: numberIn(info, 'nofpages'),
  };
  const title = textIn(info, 'title');
  return {
    contentType: MIME.rtf,
    ...(title !== undefined && { title }),
    metadata: Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)),
    sections: sectionsOf(tree.content),
  };
}

/** A truncated file has groups that are never closed. */
function checkGroups(bytes: Buffer): void {
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at += escapedBytes(bytes, at);
    else if (byte === OPEN) depth += 1;
    else if (byte === CLOSE) depth -= 1;
    if (depth > MAX_GROUP_DEPTH) throw new FileError('too-deep');
    if (depth <= 0) return;
  }
  throw new FileError('damaged');
}

/** Bytes after a backslash to skip: one character, or the binary data of `\binN`. */
function escapedBytes(bytes: Buffer, at: number): number {
  const binary = /^\\bin(\d{1,9}) ?/.exec(bytes.toString('latin1', at, at + 16));
  return binary ? binary[0].length - 1 + Number(binary[1]) : 1;
}

const SYMBOLS: ReadonlyMap<string, number> = new Map([
  ['~', 0xa0],
  ['_', 0x2011],
  ['emdash', 0x2014],
  ['endash', 0x2013],
  ['bullet', 0x2022],
  ['emspace', 0x2003],
  ['enspace', 0x2002],
]);

/** Replaces control words that officeparser drops by code points. A file with binary data is not changed. */
function withSymbols(bytes: Buffer): Buffer {
  if (bytes.includes('\\bin')) return bytes;
  const text = bytes.toString('latin1');
  const named = text.replace(/\\(?:[\\{}]|[~_]|(?:emdash|endash|bullet|emspace|enspace)(?![a-z\d-]) ?)/gi, (symbol) => {
    const code = SYMBOLS.get(symbol.slice(1).trimEnd());
    return code === undefined ? symbol : `{\\uc1\\u${code}?}`;
  });
  return named === text ? bytes : Buffer.from(named, 'latin1');
}

function textIn(info: string, word: string): string | undefined {
  const raw = new RegExp(`\\{\\\\${word} ((?:[^{}\\\\]|\\\\[^*])*)\\}`).exec(info)?.[1];
  const text = raw
    ?.replace(/\\u(-?\d{1,6}) ?(?:\\'[0-9a-f]{2}|[^\\{}])?/gi, (_all, code: string) =>
      String.fromCharCode(Number(code) & 0xffff),
    )
    .replace(/\\'([0-9a-f]{2})/gi, (_all, hex: string) => WESTERN.decode(Buffer.from(hex, 'hex')))
    .replace(/\\([{}\\])/g, '$1')
    .replace(/\\[a-z]+-?\d* ?|[\r\n]/gi, '')
    .trim();
  return text === '' ? undefined : text;
}

/** RTF has no time zone; UTC is assumed. */
function dateIn(info: string, word: string): string | undefined {
  const group = new RegExp(`\\{\\\\${word}([^{}]{0,100})\\}`).exec(info)?.[1];
  const year = numberIn(group ?? '', 'yr');
  // Some programs write a year 0.
  if (group === undefined || !year) return undefined;
  const [month = 1, day = 1, hour = 0, minute = 0, second = 0] = ['mo', 'dy', 'hr', 'min', 'sec'].map((part) =>
    numberIn(group, part),
  );
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}
