// A broken extractor: it responds with bytes that are not a frame.
import { writeSync } from 'node:fs';

process.stdin.once('data', () => writeSync(3, Buffer.alloc(64, 0xff)));
