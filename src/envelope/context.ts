// Encryption context as bytes: plaintext in the message, and authenticated by KMS. The caller that unwraps the key checks its
// entries.
import { internalError, tamperedMessage } from './refusal.ts';

/** Names and values that KMS binds to a data key. KMS compares them exactly and case-sensitively. */
export type EncryptionContext = Readonly<Record<string, string>>;

/** The format itself uses this prefix; suite 0x0478 has no such entries. */
const RESERVED_PREFIX = 'aws-crypto-';
const LENGTH_BYTES = 2;
const MAX_BYTES = 0xffff;

// Without ignoreBOM, a key with and without a BOM would decode to the same text.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns the text, or undefined if the bytes are not UTF-8. */
export function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Encodes pairs sorted by the bytes of their keys: `u16(count)`, then key and value, each after its u16 length. An empty context
 * has no bytes.
 * @throws SealdexError `INTERNAL` for an empty or reserved key, ill-formed Unicode, or more than 65,535 bytes
 */
export function encodeContext(context: EncryptionContext): Buffer {
  const pairs = Object.entries(context).map(([key, value]) => {
    if (key === '') throw internalError('A key of an encryption context must not be empty.');
    if (key.startsWith(RESERVED_PREFIX))
      throw internalError('A key of an encryption context must not begin with aws-crypto-.');
    if (!key.isWellFormed() || !value.isWellFormed()) {
      throw internalError('An encryption context must be well-formed Unicode.');
    }
    return [Buffer.from(key), Buffer.from(value)] as const;
  });
  if (pairs.length === 0) return Buffer.alloc(0);
  const bytes = pairs.reduce((sum, [key, value]) => sum + key.length + value.length + 2 * LENGTH_BYTES, LENGTH_BYTES);
  if (bytes > MAX_BYTES) throw internalError('An encryption context must not be more than 65,535 bytes.');
  // By bytes: JavaScript strings have another order above U+FFFF.
  pairs.sort(([a], [b]) => Buffer.compare(a, b));
  const out = Buffer.allocUnsafe(bytes);
  let at = out.writeUInt16BE(pairs.length);
  for (const pair of pairs) {
    for (const text of pair) {
      at = out.writeUInt16BE(text.length, at);
      out.set(text, at);
      at += text.length;
    }
  }
  return out;
}

/**
 * Accepts unsorted pairs: other writers produce them, and the original bytes are authenticated.
 * @returns a frozen object without prototype, so that `__proto__` is a key like any other
 * @throws SealdexError `OBJECT_TAMPERED` with reason `context`
 */
export function decodeContext(bytes: Buffer): EncryptionContext {
  const context = Object.create(null) as Record<string, string>;
  if (bytes.length === 0) return Object.freeze(context);
  let at = 0;
  const take = (count: number): Buffer => {
    if (count > bytes.length - at) throw tamperedMessage('context');
    at += count;
    return bytes.subarray(at - count, at);
  };
  const takeText = (): string => {
    const text = decodeText(take(take(LENGTH_BYTES).readUInt16BE()));
    if (text === undefined) throw tamperedMessage('context');
    return text;
  };
  const count = take(LENGTH_BYTES).readUInt16BE();
  if (count === 0) throw tamperedMessage('context');
  for (let pair = 0; pair < count; pair += 1) {
    const key = takeText();
    if (key.startsWith(RESERVED_PREFIX) || key in context) throw tamperedMessage('context');
    context[key] = takeText();
  }
  if (at !== bytes.length) throw tamperedMessage('context');
  return Object.freeze(context);
}
