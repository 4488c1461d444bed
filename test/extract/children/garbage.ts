// No extractor: answers a question with bytes that are no frame.
import { writeSync } from 'node:fs';

process.stdin.once('data', () => writeSync(3, Buffer.alloc(64, 0xff)));
