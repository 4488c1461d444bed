// Deadlines: how long a call to Redis, KMS, S3 or STS, the start of an extractor, or a wait for jobs may take.
// Read at each use, so that tests on a busy machine can raise them.

export interface Deadlines {
  /** All services, for callers that wait for a response, which takes at most about a second. */
  promptMs: number;
  /** Redis, for a worker. */
  redisMs: number;
  /** KMS, for a worker: the SDK has no timeout of its own. */
  kmsMs: number;
  /** S3, for a worker, plus one second per megabyte: S3 responds within milliseconds. */
  s3Ms: number;
  /** STS: a change only records the identity. */
  stsMs: number;
  /** Start of an extraction process: much longer than usual, since it starts with the lowest priority. */
  extractorStartMs: number;
  /** Multiple of its time limit for an extraction without processor time. After that, the host is the cause: it is tried again. */
  starvedFactor: number;
  /** A command that waits for jobs (`--wait`), without any of them ending. */
  waitIdleMs: number;
  /** A replay, without any job ending. */
  replayIdleMs: number;
}

export const DEADLINES: Readonly<Deadlines> = Object.freeze({
  promptMs: 900,
  redisMs: 10_000,
  kmsMs: 4000,
  s3Ms: 10_000,
  stsMs: 3000,
  extractorStartMs: 60_000,
  starvedFactor: 4,
  waitIdleMs: 120_000,
  replayIdleMs: 10_000,
});

export const deadlines: Deadlines = { ...DEADLINES };
