// A compromised extractor: it sends forged response frames.
import { writeSync } from 'node:fs';
import { framePieces } from '../../../src/extract/framing.ts';

process.stdin.once('data', (chunk: Buffer) => {
  const response: unknown = JSON.parse(chunk.subarray(chunk.lastIndexOf('#') + 1).toString());
  for (const answer of [{ is: 'begun' }, response as object]) writeSync(3, Buffer.concat(framePieces(answer)));
});
