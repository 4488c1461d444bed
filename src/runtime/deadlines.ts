// How long a call to Redis, KMS, S3 or STS, or the start of an extractor, may take.
// Read at each use, so that tests on a busy machine can raise them.

export interface Deadlines {
  /** All services, for callers who wait for an answer: they have it within about a second. */
  promptMs: number;
  /** Redis, for a worker. */
  redisMs: number;
  /** KMS, for a worker: the SDK has no timeout of its own. */
  kmsMs: number;
  /** S3, for a worker, beside a second for each megabyte: S3 answers in milliseconds. */
  s3Ms: number;
  /** STS: only the record of a change names who made it. */
  stsMs: number;
  /** A process that reads files: far more than it takes, since it starts with the lowest priority. */
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
