// A worker without file descriptors when it reads a file, and with some again when it reads the next.
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/runtime/clock.ts';
import { SealdexError } from '../../../src/runtime/errors.ts';
import { createExtractPool } from '../../../src/extract/pool.ts';
import '../../support/raised-deadlines.ts';

const entry = fileURLToPath(new URL('./hook.ts', import.meta.url));
const limits = { partChars: 16_384, metadataBytes: 1_048_576, documentBytes: 33_554_432 };
await using pool = createExtractPool({
  clock: systemClock,
  size: 1,
  extractMs: 30_000,
  heapBytes: 67_108_864,
  limits,
  entry,
});
const place = { tenant: 't', corpus: 'c', id: 'i', revision: 0 };
const file = { bytes: Buffer.from('print'), filename: 'f' };

const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // All are used.
}
const failure: unknown = await pool.extract(file, place).catch((error: unknown) => error);
for (const descriptor of taken) closeSync(descriptor);
if (failure instanceof SealdexError) console.log(failure.code, failure.reason);
console.log((await pool.extract(file, place)).bytes.toString());
