// Plain text in common encodings; an ambiguous one is rejected rather than guessed.
import { describe, expect, test } from 'vitest';
import { readText } from '../src/formats/text.ts';
import { faultOf } from './faults.ts';

const read = async (bytes: Buffer, contentType?: string): Promise<string | undefined> =>
  (await readText({ bytes, filename: 'a.txt', contentType })).sections[0]?.text;
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex');
const swap = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();

function utf32(text: string, isLittle: boolean): Buffer {
  const points = Array.from(`\ufeff${text}`, (character) => character.codePointAt(0) ?? 0);
  const bytes = Buffer.alloc(points.length * 4);
  for (const [at, point] of points.entries()) {
    if (isLittle) bytes.writeUInt32LE(point, at * 4);
    else bytes.writeUInt32BE(point, at * 4);
  }
  return bytes;
}

const WORDS = 'Grüße, “ça va” 😀?\nŻółw, こんにちは.';
const WESTERN = 'L’été à Zürich coûte 20 €.';
const LATIN = hex('4c 92 e9 74 e9 20 e0 20 5a fc 72 69 63 68 20 63 6f fb 74 65 20 32 30 20 80 2e');

describe('Unicode', () => {
  test.each([
    ['UTF-8', Buffer.from(WORDS)],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${WORDS}`)],
    ['UTF-16 LE with a mark', Buffer.from(`\ufeff${WORDS}`, 'utf16le')],
    ['UTF-16 BE with a mark', swap(`\ufeff${WORDS}`)],
    ['UTF-32 LE', utf32(WORDS, true)],
    ['UTF-32 BE', utf32(WORDS, false)],
  ])('in %s is read', async (_, bytes) => {
    expect(await read(bytes)).toBe(WORDS);
  });

  test('in UTF-16 without a mark is detected by its zero bytes', async () => {
    expect(await read(Buffer.from('Über Berge', 'utf16le'))).toBe('Über Berge');
    expect(await read(swap('Über Berge'))).toBe('Über Berge');
  });

  test('in UTF-8 truncated in the middle of a character is still UTF-8', async () => {
    const bytes = Buffer.from('Żółw '.repeat(10) + 'ó').subarray(0, -1);
    expect(await read(bytes)).toBe(`${'Żółw '.repeat(10)}\ufffd`);
  });

  test('with a mark before binary bytes is not text', async () => {
    const noise = Buffer.from(Array.from({ length: 2000 }, (_, at) => (at * at * 31 + at * 7) % 251));
    expect(await faultOf(read(Buffer.concat([hex('fffe'), noise])))).toBe('encoding');
  });
});

describe('text', () => {
  test('in Windows-1252 is detected by its characters', async () => {
    expect(await read(LATIN)).toBe(WESTERN);
  });

  test.each([
    ['windows-1251', 'cf f0 e8 e2 e5 f2', 'Привет'],
    ['koi8-r', 'f0 d2 c9 d7 c5 d4', 'Привет'],
    ['shift_jis', '93 fa 96 7b 8c ea', '日本語'],
    ['euc-jp', 'c6 fc cb dc b8 ec', '日本語'],
    ['gbk', 'd6 d0 ce c4', '中文'],
    ['windows-1253', 'c5 eb eb dc e4 e1', 'Ελλάδα'],
    ['big5', 'a4 a4 a4 e5', '中文'],
  ])('in %s is read if the caller declares it, and rejected otherwise', async (charset, digits, words) => {
    const bytes = Buffer.concat([hex(digits), Buffer.from(' '), hex(digits)]);
    expect(await read(bytes, `text/plain; charset="${charset}"`)).toBe(`${words} ${words}`);
    expect(await faultOf(read(bytes))).toBe('encoding');
  });

  test('in Windows-1250 with Polish words does not count as Windows-1252', async () => {
    const polish = hex('7a61bff3b3e620676eb9e620b3f364bc20eab36f');
    expect(await faultOf(read(polish))).toBe('encoding');
  });

  test('in a Japanese seven-bit encoding is detected by its escapes', async () => {
    expect(await read(hex('1b2442 467c 4b5c 386c 1b2842'))).toBe('日本語');
  });

  test('with a wrong or unknown declared charset is read by its content', async () => {
    expect(await read(Buffer.from(WORDS), 'text/plain; charset=windows-1252')).toBe(WORDS);
    expect(await read(LATIN, 'text/plain; charset=utf-8')).toBe(WESTERN);
    expect(await read(LATIN, 'text/plain; charset=klingon-1')).toBe(WESTERN);
  });

  test('is never read from binary bytes', async () => {
    expect(await faultOf(read(hex('00 01 02 03 04 05 06 07')))).toBe('encoding');
    expect(await faultOf(read(hex('41 81 42 8d 43 8f 44 90')))).toBe('encoding');
  });

  test('can contain the colors of a log, or a stray zero byte', async () => {
    expect(await read(Buffer.from('\u001b[31mred\u001b[0m and\0 plain'))).toBe('\u001b[31mred\u001b[0m and\0 plain');
  });
});
