// Counts of a deleted tenant's data, by kind.

export const KINDS = ['jobs', 'letters', 'documents', 'originals', 'intake', 'versions', 'uploads', 'traces'] as const;
type Kind = (typeof KINDS)[number];

/**
 * Data of a tenant by kind. `jobs`: waiting, delayed, parked and stalled jobs. `letters`: dead letters. `documents`: deleted documents
 * included. `intake`: content of jobs in S3. `versions`: older versions and delete markers in a bucket with versioning. `uploads`:
 * unfinished multipart uploads. `traces`: everything else in Redis and in S3.
 */
export type Counts = Record<Kind, number>;

/** Kinds of data that need a permission of their own to be listed. */
export type UnlistableKind = 'versions' | 'uploads';

/** Error name of a store without this feature: then it holds no data of this kind. */
export const NOT_IMPLEMENTED = 'NotImplemented';

export interface ObjectCounts {
  readonly counts: Counts;
  /** Number of jobs that a worker is running. */
  busy: number;
  /** Number of objects that S3 did not remove. */
  refused: number;
  /** Kinds of data that could not be listed, with the error name of S3. */
  readonly unseen: Map<UnlistableKind, string>;
}

export const emptyCounts = (): ObjectCounts => ({
  counts: { jobs: 0, letters: 0, documents: 0, originals: 0, intake: 0, versions: 0, uploads: 0, traces: 0 },
  busy: 0,
  refused: 0,
  unseen: new Map(),
});

const sumOf = (counts: Counts): number => KINDS.reduce((sum, kind) => sum + counts[kind], 0);

export const totalOf = ({ counts, busy, refused }: ObjectCounts): number => sumOf(counts) + busy + refused;
