// Jobs in the queue: kinds, ids, data and its check. Contains no plaintext content. Imports no BullMQ. The worker also checks
// jobs that were enqueued without the producer (parseJob).
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { SealdexError } from '../runtime/errors.ts';
import type { IntakePlace } from '../runtime/intake-key.ts';
import { INTAKE_ID, NAME, OBJECT_NAME } from '../runtime/names.ts';
import { isNewerThan } from '../runtime/newer.ts';

/** Kinds that this version runs. Another kind comes from a newer producer. */
const KINDS = ['index', 'upload', 'delete', 'reencrypt'] as const;
export type JobKind = (typeof KINDS)[number];

/** Length in base64 of the largest message that SEALDEX_INLINE_BYTES allows in a job. */
const MAX_INLINE = 1_500_000;

/** The document of a job, and the order of its jobs. */
const about = {
  v: z.literal(1),
  tenant: z.string().regex(NAME),
  corpus: z.string().regex(NAME),
  revision: z.int().positive(),
  object: z.string().regex(OBJECT_NAME),
};

const inIntake = z.strictObject({ intake: z.string().regex(INTAKE_ID) });

const jobData = z.discriminatedUnion('kind', [
  z.strictObject({
    ...about,
    kind: z.literal('index'),
    content: z.union([z.strictObject({ inline: z.base64().max(MAX_INLINE) }), inIntake]),
  }),
  z.strictObject({ ...about, kind: z.literal('upload'), content: inIntake }),
  // Present only if SEALDEX_INLINE_BYTES is 0: an empty object, so that a lost deletion can be recovered.
  z.strictObject({ ...about, kind: z.literal('delete'), content: inIntake.optional() }),
  z.strictObject({
    v: z.literal(1),
    tenant: z.string().regex(NAME),
    kind: z.literal('reencrypt'),
    after: z.string().max(1024).optional(),
  }),
]);

/** Data of a job in the queue, in plaintext (contract). `inline` is a message in base64, `intake` the name of a message in S3. */
export type JobData = z.infer<typeof jobData>;
export type IndexJobData = Extract<JobData, { kind: 'index' }>;
export type UploadJobData = Extract<JobData, { kind: 'upload' }>;
export type DeleteJobData = Extract<JobData, { kind: 'delete' }>;
/** Re-encrypts a page of a tenant's objects with its current KMS key: those after the S3 key `after`. */
export type ReencryptJobData = Extract<JobData, { kind: 'reencrypt' }>;
/** A job for one document. */
export type DocumentJobData = Exclude<JobData, ReencryptJobData>;

export const isOfDocument = (data: JobData | undefined): data is DocumentJobData =>
  data !== undefined && data.kind !== 'reencrypt';
/** A job with content, and its id. */
export type ContentJob = Extract<JobData, { content: object }> & { readonly id: string };

/** The place of the job's content in S3; undefined if it has none there. `queue` is SEALDEX_QUEUE. */
export function intakeOf(queue: string, jobId: string, data: JobData): IntakePlace | undefined {
  if (data.kind === 'reencrypt' || !data.content || 'inline' in data.content) return undefined;
  return intakePlace(queue, jobId, data, data.content);
}

/** The place of the content that a job names as `intake`. */
export function intakePlace(
  queue: string,
  jobId: string,
  { tenant, kind, revision, object, corpus }: DocumentJobData,
  { intake }: { readonly intake: string },
): IntakePlace {
  return { tenant, jobId, queue, kind, revision, object, corpus, intake };
}

/** A job as a handler receives it. `data` is unchecked. */
export interface TakenJob {
  readonly id: string;
  readonly data: unknown;
  /** Wall clock, milliseconds. */
  readonly queuedAt: number;
}

/**
 * Checks data from the queue.
 * @throws SealdexError `JOB_NEWER` for an unknown version or kind, otherwise `JOB_INVALID` with the field
 */
export function parseJob(data: unknown): JobData {
  const parsed = jobData.safeParse(data);
  if (parsed.success) return parsed.data;
  if (isNewer(data)) throw new SealdexError('JOB_NEWER');
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new SealdexError('JOB_INVALID', undefined, /^[a-z.]{1,40}$/.test(field) ? { field } : {});
}

function isNewer(data: unknown): boolean {
  if (isNewerThan(1, data)) return true;
  if (typeof data !== 'object' || data === null) return false;
  const { v, kind } = data as { v?: unknown; kind?: unknown };
  return v === 1 && typeof kind === 'string' && !(KINDS as readonly string[]).includes(kind);
}

/** `j` and 32 hex digits: random, or derived from the idempotency key. */
export function newJobId(identity?: { tenant: string; corpus: string; kind: JobKind; idempotencyKey: string }): string {
  if (!identity) return `j${randomBytes(16).toString('hex')}`;
  const { tenant, corpus, kind, idempotencyKey } = identity;
  const hash = createHash('sha256').update(JSON.stringify([tenant, corpus, kind, idempotencyKey]));
  return `j${hash.digest('hex').slice(0, 32)}`;
}
