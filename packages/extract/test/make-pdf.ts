// PDF files made by code: pages of lines in Helvetica, an Info dictionary, and locks with a password (RC4, revision 2 of the standard).
import { createHash } from 'node:crypto';

export interface PdfParts {
  readonly pages: readonly (readonly string[])[];
  /** Entries of the Info dictionary in PDF's own syntax. */
  readonly info?: string;
  /** Entries of the catalog besides its pages. */
  readonly catalog?: string;
  /** Instead of the page tree; its number is 2, and pages begin with 4. */
  readonly tree?: string;
  /** Locked with this user password, which may be empty. */
  readonly password?: string;
}

/** The content of a page: one line of text below the other. */
const contentOf = (lines: readonly string[]): string =>
  `BT /F1 11 Tf 14 TL 50 800 Td ${lines.map((line) => `(${line.replace(/[\\()]/g, '\\$&')}) Tj T*`).join('\n')} ET`;

export function makePdf({ pages, info = '', catalog = '', tree, password }: PdfParts): Buffer {
  const kids = pages.map((_, at) => `${4 + 2 * at} 0 R`).join(' ');
  const lock = password === undefined ? undefined : lockOf(password);
  const objects = [
    `<< /Type /Catalog /Pages 2 0 R ${catalog} >>`,
    tree ?? `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
    ...pages.flatMap((lines, at) => {
      const content = Buffer.from(contentOf(lines), 'latin1');
      const stream = lock ? lock.encrypt(5 + 2 * at, content) : content;
      return [
        `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * at} 0 R >>`,
        `<< /Length ${stream.length} >>\nstream\n${stream.toString('latin1')}\nendstream`,
      ];
    }),
    `<< ${lock ? '' : info} >>`,
    ...(lock ? [lock.dictionary] : []),
  ];
  const infoNumber = 4 + 2 * pages.length;
  const trailer = `/Info ${infoNumber} 0 R${lock ? ` /Encrypt ${infoNumber + 1} 0 R /ID [<${ID}> <${ID}>]` : ''}`;
  return pdfOf(objects, trailer);
}

/** Objects numbered from 1, with their table and trailer; the first is the catalog. */
export function pdfOf(objects: readonly string[], trailer = ''): Buffer {
  let text = '%PDF-1.7\n';
  const offsets: number[] = [];
  for (const [at, object] of objects.entries()) {
    offsets.push(text.length);
    text += `${at + 1} 0 obj\n${object}\nendobj\n`;
  }
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  const table = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${rows}`;
  const end = `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${text.length}\n%%EOF\n`;
  return Buffer.from(text + table + end, 'latin1');
}

const ID = '00112233445566778899aabbccddeeff';
const PADDING = Buffer.from('28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a', 'hex');
const PERMISSIONS = -4;

const md5 = (...parts: readonly Buffer[]): Buffer => createHash('md5').update(Buffer.concat(parts)).digest();
const padded = (password: string): Buffer => Buffer.concat([Buffer.from(password, 'latin1'), PADDING]).subarray(0, 32);

function lockOf(password: string): { dictionary: string; encrypt: (object: number, bytes: Buffer) => Buffer } {
  const owner = rc4(md5(padded('owner')).subarray(0, 5), padded(password));
  const permissions = Buffer.alloc(4);
  permissions.writeInt32LE(PERMISSIONS);
  const key = md5(padded(password), owner, permissions, Buffer.from(ID, 'hex')).subarray(0, 5);
  const user = rc4(key, PADDING);
  return {
    dictionary: `<< /Filter /Standard /V 1 /R 2 /O <${owner.toString('hex')}> /U <${user.toString('hex')}> /P ${PERMISSIONS} >>`,
    encrypt: (object, bytes) => rc4(md5(key, Buffer.from([object, 0, 0, 0, 0])).subarray(0, 10), bytes),
  };
}

/** The cipher of old PDFs, which OpenSSL no longer has. */
function rc4(key: Buffer, bytes: Buffer): Buffer {
  const state = Uint8Array.from({ length: 256 }, (_, at) => at);
  let j = 0;
  const swap = (a: number, b: number): void => {
    [state[a], state[b]] = [state[b]!, state[a]!];
  };
  for (let i = 0; i < 256; i += 1) {
    j = (j + state[i]! + key[i % key.length]!) & 255;
    swap(i, j);
  }
  let i = 0;
  j = 0;
  return Buffer.from(
    bytes.map((byte) => {
      i = (i + 1) & 255;
      j = (j + state[i]!) & 255;
      swap(i, j);
      return byte ^ state[(state[i]! + state[j]!) & 255]!;
    }),
  );
}
