// A zip archive built by code, valid or not: tests give the declared values of each entry.
import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipEntry {
  readonly name: string;
  readonly content: string | Buffer;
  /** The declared size instead of the real one. */
  readonly claimedBytes?: number;
  readonly isEncrypted?: boolean;
  readonly isStored?: boolean;
  /** Only in front of its content, not in the table of contents. */
  readonly isHidden?: boolean;
}

interface Written {
  readonly header: Buffer;
  readonly name: Buffer;
  readonly data: Buffer;
  readonly isHidden: boolean;
}

export function makeZip(entries: readonly ZipEntry[]): Buffer {
  const written = entries.map(writeEntry);
  const offsets: number[] = [];
  let offset = 0;
  for (const { header, name, data } of written) {
    offsets.push(offset);
    offset += 4 + header.length + name.length + data.length;
  }
  const listed = written.flatMap((entry, at) => (entry.isHidden ? [] : [centralOf(entry, offsets[at]!)]));
  const central = Buffer.concat(listed);
  const end = Buffer.alloc(22);
  end.write('PK\u0005\u0006', 0, 'latin1');
  end.writeUInt16LE(listed.length, 8);
  end.writeUInt16LE(listed.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  const local = written.flatMap(({ header, name, data }) => [
    Buffer.from('PK\u0003\u0004', 'latin1'),
    header,
    name,
    data,
  ]);
  return Buffer.concat([...local, central, end]);
}

function writeEntry(entry: ZipEntry): Written {
  const content = Buffer.from(entry.content as string);
  const data = entry.isStored ? content : deflateRawSync(content);
  const name = Buffer.from(entry.name);
  const header = Buffer.alloc(26);
  header.writeUInt16LE(20, 0);
  header.writeUInt16LE(0x800 + (entry.isEncrypted ? 1 : 0), 2);
  header.writeUInt16LE(entry.isStored ? 0 : 8, 4);
  header.writeUInt32LE(crc32(content), 10);
  header.writeUInt32LE(data.length, 14);
  header.writeUInt32LE(entry.claimedBytes ?? content.length, 18);
  header.writeUInt16LE(name.length, 22);
  return { header, name, data, isHidden: entry.isHidden ?? false };
}

function centralOf({ header, name }: Written, offset: number): Buffer {
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(offset, 10);
  return Buffer.concat([Buffer.from('PK\u0001\u0002\u0014\0', 'latin1'), header, rest, name]);
}

/** The same from names to contents. */
export const zipOf = (files: Readonly<Record<string, string>>): Buffer =>
  makeZip(Object.entries(files).map(([name, content]) => ({ name, content })));
