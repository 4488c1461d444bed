// Compound files for tests, with the property set that Office writes into one.
import CFB from 'cfb';

/** @param streams by name at the top, or by path */
export function compoundFile(streams: Readonly<Record<string, Buffer>>): Buffer {
  const container = CFB.utils.cfb_new();
  for (const [name, bytes] of Object.entries(streams)) CFB.utils.cfb_add(container, `/${name}`, bytes);
  return CFB.write(container, { type: 'buffer' }) as Buffer;
}

export const SUMMARY = '\u0005SummaryInformation';

/** A SummaryInformation stream: texts are written in `codePage`'s bytes by the caller, dates as milliseconds. */
export function summaryStream(codePage: number, properties: Readonly<Record<number, Buffer | Date>>): Buffer {
  const u32 = (...numbers: number[]): Buffer => Buffer.from(Uint32Array.from(numbers).buffer);
  const values = [
    [1, u32(2, codePage)] as const,
    ...Object.entries(properties).map(([id, value]) => [Number(id), valueOf(value)] as const),
  ];
  let at = 8 + values.length * 8;
  const table = values.map(([id, bytes]) => {
    const entry = u32(id, at);
    at += bytes.length;
    return entry;
  });
  const set = Buffer.concat([u32(at, values.length), ...table, ...values.map(([, bytes]) => bytes)]);
  const head = Buffer.alloc(48);
  head.writeUInt16LE(0xfffe, 0);
  head.writeUInt32LE(1, 24);
  head.writeUInt32LE(48, 44);
  return Buffer.concat([head, set]);
}

function valueOf(value: Buffer | Date): Buffer {
  const head = Buffer.alloc(8);
  if (value instanceof Date) {
    const time = Buffer.alloc(12);
    time.writeUInt32LE(0x40, 0);
    time.writeBigUInt64LE((BigInt(value.getTime()) + 11_644_473_600_000n) * 10_000n, 4);
    return time;
  }
  head.writeUInt32LE(0x1e, 0);
  head.writeUInt32LE(value.length + 1, 4);
  return Buffer.concat([head, value, Buffer.alloc(4 - (value.length % 4))]);
}
