// Deadlines of calls to Redis, KMS, S3 and STS, and of the start of an extraction process. Read at each use, so that tests on a
// busy machine can raise them.

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
}

export const DEADLINES: Readonly<Deadlines> = Object.freeze({
  promptMs: 900,
  redisMs: 10_000,
  kmsMs: 4000,
  s3Ms: 10_000,
  stsMs: 3000,
  extractorStartMs: 60_000,
});

export const deadlines: Deadlines = { ...DEADLINES };
