// A worker that reads one file in an extractor and is then killed by a test: prints the pid of its extractor.
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/runtime/clock.ts';
import { createExtractPool } from '../../../src/extract/pool.ts';
import '../../support/raised-deadlines.ts';

const entry = fileURLToPath(new URL('./hook.ts', import.meta.url));
const limits = { partChars: 16_384, metadataBytes: 1_048_576, documentBytes: 33_554_432 };
const pool = createExtractPool({
  clock: systemClock,
  size: 1,
  extractMs: 60_000,
  heapBytes: 67_108_864,
  limits,
  entry,
});
const place = { tenant: 't', corpus: 'c', id: 'i', revision: 0 };
const file = (text: string) => ({ bytes: Buffer.from(text), filename: 'f' });

const { bytes } = await pool.extract(file('pid'), place);
const looping = pool.extract(file('loop'), place);
console.log(bytes.toString());
process.on('SIGTERM', () => console.log('heard'));
await looping;
