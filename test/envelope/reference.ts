// A second writer of the format, as simple as the specification and without shared code. It can also write invalid messages:
// every field can be given, and commitment and tags are computed from the given fields unless they are given too.
import { createCipheriv, hkdfSync } from 'node:crypto';

interface Edk {
  readonly provider: string;
  readonly info: Uint8Array | string;
  readonly ciphertext: Uint8Array;
}

export interface FramePlan {
  readonly kind: 'regular' | 'final';
  readonly sequence: number;
  readonly plaintext: Uint8Array;
  readonly iv?: Uint8Array;
}

export interface Plan {
  readonly dataKey: Uint8Array;
  readonly messageId: Uint8Array;
  readonly version?: number;
  readonly suite?: number;
  /** Count and pairs, without the length before them. */
  readonly context: Uint8Array;
  readonly edks: readonly Edk[];
  readonly contentType?: number;
  readonly frameBytes: number;
  readonly commit?: Uint8Array;
  readonly headerTag?: Uint8Array;
  /** Frames, or ready-made bytes. */
  readonly content: readonly FramePlan[] | Uint8Array;
}

const u8 = (value: number): Buffer => Buffer.from([value]);
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};
const lv = (value: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([u16(bytes.length), bytes]);
};

/** Context bytes of pairs in the order given. */
export const pairs = (...list: readonly (readonly [Uint8Array | string, Uint8Array | string])[]): Buffer =>
  Buffer.concat([u16(list.length), ...list.flatMap(([key, value]) => [lv(key), lv(value)])]);

/** Context bytes as a writer must write them. */
export function sortedPairs(context: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(context).map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
  return entries.length === 0 ? Buffer.alloc(0) : pairs(...entries.sort(([a], [b]) => Buffer.compare(a, b)));
}

/** Frames of a plaintext; the last one is shorter than a frame. */
export function plan(plaintext: Uint8Array, frameBytes: number): FramePlan[] {
  const frames: FramePlan[] = [];
  let at = 0;
  for (; plaintext.length - at >= frameBytes; at += frameBytes) {
    frames.push({ kind: 'regular', sequence: frames.length + 1, plaintext: plaintext.subarray(at, at + frameBytes) });
  }
  return [...frames, { kind: 'final', sequence: frames.length + 1, plaintext: plaintext.subarray(at) }];
}

const gcm = (key: Uint8Array, iv: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) => {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { ciphertext, tag: cipher.getAuthTag() };
};

const derive = ({ dataKey, messageId }: Plan, info: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha512', dataKey, messageId, info, 32));

export const encryptionKey = (what: Plan): Buffer =>
  derive(what, Buffer.concat([u16(0x0478), Buffer.from('DERIVEKEY')]));

export const commitKey = (what: Plan): Buffer => derive(what, Buffer.from('COMMITKEY'));

const sequenceIv = (sequence: number): Buffer => Buffer.concat([Buffer.alloc(8), u32(sequence)]);

/** The bytes of one frame, with a valid tag for its content. */
export function frame(what: Plan, { kind, sequence, plaintext, iv = sequenceIv(sequence) }: FramePlan): Buffer {
  const isFinal = kind === 'final';
  const aad = Buffer.concat([
    what.messageId,
    Buffer.from(isFinal ? 'AWSKMSEncryptionClient Final Frame' : 'AWSKMSEncryptionClient Frame'),
    u32(sequence),
    u64(plaintext.length),
  ]);
  const { ciphertext, tag } = gcm(encryptionKey(what), iv, aad, plaintext);
  return isFinal
    ? Buffer.concat([u32(0xffffffff), u32(sequence), iv, u32(ciphertext.length), ciphertext, tag])
    : Buffer.concat([u32(sequence), iv, ciphertext, tag]);
}

/** The legacy content: one block with its length. */
export function singleBlock(what: Plan, plaintext: Uint8Array): Buffer {
  const iv = sequenceIv(1);
  const content = Buffer.from('AWSKMSEncryptionClient Single Block');
  const aad = Buffer.concat([what.messageId, content, u32(1), u64(plaintext.length)]);
  const { ciphertext, tag } = gcm(encryptionKey(what), iv, aad, plaintext);
  return Buffer.concat([iv, u64(plaintext.length), ciphertext, tag]);
}

export function headerBody(what: Plan): Buffer {
  return Buffer.concat([
    u8(what.version ?? 2),
    u16(what.suite ?? 0x0478),
    what.messageId,
    lv(what.context),
    u16(what.edks.length),
    ...what.edks.flatMap((edk) => [lv(edk.provider), lv(edk.info), lv(edk.ciphertext)]),
    u8(what.contentType ?? 2),
    u32(what.frameBytes),
    what.commit ?? commitKey(what),
  ]);
}

export function referenceMessage(what: Plan): Buffer {
  const body = headerBody(what);
  const tag = what.headerTag ?? gcm(encryptionKey(what), Buffer.alloc(12), body, Buffer.alloc(0)).tag;
  const content =
    what.content instanceof Uint8Array ? [what.content] : what.content.map((framePlan) => frame(what, framePlan));
  return Buffer.concat([body, tag, ...content]);
}
