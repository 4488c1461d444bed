// How long one call to Redis, KMS, S3 or STS may take. Read at each call, so that tests on a busy machine can raise them.

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
}

export const DEADLINES: Readonly<Deadlines> = Object.freeze({
  promptMs: 900,
  redisMs: 10_000,
  kmsMs: 4000,
  s3Ms: 10_000,
  stsMs: 3000,
});

export const deadlines: Deadlines = { ...DEADLINES };
