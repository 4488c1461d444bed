// Writing and reading messages leaves no copy of the data key in the memory of the process. The needle is held masked, so
// that the search does not find itself; the data key before its wipe is the control.
import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { expect, it } from 'vitest';
import { decryptMessage, decryptStream, encryptMessage, encryptStream } from '../../src/envelope/message.ts';
import { gather, inChunks, keyOf, noise } from './fixture.ts';

const MASK = 0x5a;
const KEY_BYTES = 32;
const MEMORY = '/proc/self/mem';

/** Occurrences of the unmasked needle in the writable memory of this process. */
function countInMemory(masked: Uint8Array): number {
  const window = Buffer.allocUnsafeSlow(4 * 1024 * 1024);
  const memory = openSync(MEMORY, 'r');
  let found = 0;
  try {
    for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      const end = Number.parseInt(range?.[2] ?? '0', 16);
      for (let at = Number.parseInt(range?.[1] ?? '0', 16); at < end; at += window.length - KEY_BYTES + 1) {
        const bytes = readAt(memory, window, at, Math.min(window.length, end - at));
        if (bytes === 0) break;
        found += countIn(window.subarray(0, bytes), masked);
        window.fill(0, 0, bytes);
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

function readAt(memory: number, window: Buffer, at: number, length: number): number {
  try {
    return readSync(memory, window, 0, length, at);
  } catch {
    // Some mappings are unreadable for every process.
    return 0;
  }
}

function countIn(bytes: Buffer, masked: Uint8Array): number {
  const first = masked[0]! ^ MASK;
  let found = 0;
  for (let at = bytes.indexOf(first); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (masked.every((byte, index) => bytes[at + index] === (byte ^ MASK))) found += 1;
  }
  return found;
}

it.skipIf(!existsSync(MEMORY))('messages leave no copy of a wiped data key in memory', async () => {
  const dataKey = Buffer.allocUnsafeSlow(KEY_BYTES);
  randomFillSync(dataKey);
  const masked = Uint8Array.from(dataKey, (byte) => byte ^ MASK);
  const key = keyOf(undefined, { use: (fn) => fn(dataKey) });
  const held: unknown[] = [];
  for (let round = 0; round < 50; round += 1) {
    const message = encryptMessage(key, noise(200));
    const streamed = encryptStream(key, inChunks(noise(200)));
    held.push(message, await decryptMessage(message, () => key), await gather(decryptStream(streamed, () => key)));
  }
  // Open streams hold the message's key, never the data key.
  const begun = encryptStream(key, inChunks(noise(200)));
  held.push(begun, await begun.next());
  expect(countInMemory(masked)).toBeGreaterThanOrEqual(1);
  dataKey.fill(0);
  expect(countInMemory(masked)).toBe(0);
  expect(held).toHaveLength(152);
});
