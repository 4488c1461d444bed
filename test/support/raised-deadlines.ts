// Raises the deadlines of calls in the process that imports it: on a busy machine an answer takes longer than a user would wait.
import { deadlines } from '../../src/runtime/deadlines.ts';

Object.assign(deadlines, { promptMs: 40_000, redisMs: 40_000, kmsMs: 40_000, s3Ms: 40_000, stsMs: 40_000 });
