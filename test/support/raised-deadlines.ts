// Raises the deadlines of the process that imports it, and the priority of its extractors: for busy machines.
import { constants } from 'node:os';
import { scheduling } from '../../src/extract/extractor.ts';
import { deadlines } from '../../src/runtime/deadlines.ts';

Object.assign(deadlines, {
  promptMs: 40_000,
  redisMs: 40_000,
  kmsMs: 40_000,
  s3Ms: 40_000,
  stsMs: 40_000,
  extractorStartMs: 280_000,
  starvedFactor: 200,
  waitIdleMs: 280_000,
  replayIdleMs: 280_000,
});
scheduling.priority = constants.priority.PRIORITY_NORMAL;
