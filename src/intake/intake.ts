// Intake: a job's content, encrypted by the producer, stored inline or in S3, and opened by the worker. Content names its job,
// and the worker compares the two.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { keyRef, type KeyRef } from '../runtime/key-ref.ts';
import { orAbort } from '../runtime/clock.ts';
import { beginMessage, decryptMessage, encryptMessage, type EnvelopeKey } from '../envelope/message.ts';
import { dispositionOf, SealdexError } from '../runtime/errors.ts';
import { parseRaw } from '../runtime/json.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { unwrapFor, type Allowed } from '../keys/unwrap.ts';
import type { IntakePlace } from '../runtime/intake-key.ts';
import { objectName } from '../runtime/names.ts';
import { isNewerThan } from '../runtime/newer.ts';
import { getIntake, putIntake, removeIntake } from '../store/intake.ts';
import { isDenial, readAll, type Store } from '../store/store.ts';

/** Line 1 of decrypted content (contract). Fields that the job has too must match. */
const fields = z.strictObject({
  v: z.literal(1),
  tenant: z.string(),
  corpus: z.string(),
  job: z.string(),
  kind: z.string(),
  revision: z.int(),
  ifExists: z.enum(['replace', 'reject']),
  documentId: z.string(),
  /** For an upload: the request fields of the file. */
  filename: z.string().optional(),
  contentType: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  /** As in the indexing API. */
  chunkingStrategy: z.record(z.string(), z.unknown()).optional(),
});

const FILE_FIELDS = ['contentType', 'metadata', 'chunkingStrategy'] as const;

const contentHeader = fields.refine((header) =>
  header.kind === 'upload'
    ? header.filename !== undefined
    : header.filename === undefined && FILE_FIELDS.every((name) => header[name] === undefined),
);

/** Maximum length of line 1: the largest metadata that settings allow, and names. */
const HEADER_BYTES_MAX = 65 * 1_048_576;

export type ContentHeader = z.infer<typeof contentHeader>;

/** Place of a job's content: a base64 message in the job itself, or the name of a message in S3. */
export type ContentPlace = { readonly inline: string } | { readonly intake: string };

export interface IntakeDeps {
  readonly store: Store;
  /** SEALDEX_QUEUE. */
  readonly queue: string;
  readonly ring: KeyRing;
  readonly inlineBytes: number;
  readonly platformKeyArn: string;
  /** Returns the error if the tenant's KMS key must not be used now. */
  readonly refusal: (tenant: ContentTenant) => SealdexError | undefined;
}

/** The facts about a tenant that its content needs. */
export interface ContentTenant extends KeyRef {
  readonly whenKeyShut: 'park' | 'refuse';
  /** KMS keys that an operator blocked for the tenant. */
  readonly blocked: ReadonlyMap<string, unknown>;
}

export interface PutContent<Place extends ContentPlace = ContentPlace> {
  readonly content: Place;
  /** Name of the document in the job: the SHA-256 of its id, in hex. */
  readonly object: string;
  /** Bytes of the message; only if it is under the platform key instead of the tenant's own. */
  readonly platformKeyBytes?: number;
  /** Place of the content in S3, if it is there. */
  readonly place?: IntakePlace;
  /** Removes the content from S3. Only if the job was definitely rejected or is another request's. */
  remove(): Promise<void>;
}

const lineOf = (header: ContentHeader): Buffer => Buffer.from(`${JSON.stringify(header)}\n`);

/**
 * Encrypts content and stores it: a message of up to `inlineBytes` in the job, a larger one in S3. Uses the tenant's data key;
 * while it is unusable, the platform key, if the tenant allows that.
 * @throws SealdexError `KEY_...` if the tenant's key is unusable and its content must be rejected then
 */
export async function putContent(
  deps: IntakeDeps,
  tenant: ContentTenant,
  header: ContentHeader,
  body: Uint8Array,
  signal?: AbortSignal,
): Promise<PutContent> {
  const plaintext = Buffer.concat([lineOf(header), body]);
  const encrypted = underContentKey(deps, tenant, plaintext.length, (key) => encryptMessage(key, plaintext));
  const { result: message, isFallback } = await orAbort(encrypted, signal);
  const about = { object: objectName(header.documentId), ...(isFallback && { platformKeyBytes: message.length }) };
  if (message.length <= deps.inlineBytes)
    return { ...about, content: { inline: message.toString('base64') }, remove: async () => {} };
  return { ...about, ...(await putInS3(deps, header, message, signal)) };
}

/** A file to store. */
export interface FileContent {
  /** Read once, after the key is known. Errors end the upload and are rethrown unchanged. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Number of bytes, if it is certain: then they are sent as they arrive. Otherwise they are collected, encrypted. */
  readonly length?: number | undefined;
  /** Maximum number of bytes. */
  readonly bytesMax: number;
}

/**
 * Encrypts a file as `putContent` does, always into S3. Holds a few frames of a file of known length, and all of any other file,
 * encrypted.
 * @throws as `putContent`; what the file's chunks throw, leaving nothing in S3
 */
export async function putFile(
  deps: IntakeDeps,
  tenant: ContentTenant,
  header: ContentHeader,
  { chunks, length, bytesMax }: FileContent,
): Promise<PutContent<{ readonly intake: string }>> {
  const line = lineOf(header);
  const most = line.length + (length ?? bytesMax);
  const { result: begun, isFallback } = await underContentKey(deps, tenant, most, (key) => beginMessage(key));
  async function* plaintext(): AsyncGenerator<Uint8Array> {
    yield line;
    yield* chunks;
  }
  const source = begun.encrypt(plaintext());
  const message = length === undefined ? await collect(source) : { bytes: begun.bytes(line.length + length), source };
  const bytes = 'bytes' in message ? message.bytes : message.length;
  return {
    object: objectName(header.documentId),
    ...(isFallback && { platformKeyBytes: bytes }),
    ...(await putInS3(deps, header, message)),
  };
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const frames: Buffer[] = [];
  for await (const frame of source) frames.push(frame);
  return Buffer.concat(frames);
}

/** A deletion, as its job and its place in S3 name it. */
type Deletion = Pick<ContentHeader, 'tenant' | 'job' | 'corpus' | 'revision' | 'documentId'>;

/** Puts an empty object for a deletion, from which a lost job can be recovered. */
export async function putDeletion(deps: IntakeDeps, deletion: Deletion): Promise<StoredContent> {
  return putInS3(deps, { ...deletion, kind: 'delete' }, Buffer.alloc(0));
}

type StoredContent = Pick<PutContent<{ readonly intake: string }>, 'content' | 'remove'> & {
  readonly place: IntakePlace;
};

async function putInS3(
  { store, queue }: IntakeDeps,
  { tenant, job, corpus, kind, revision, documentId }: Deletion & Pick<ContentHeader, 'kind'>,
  message: Parameters<typeof putIntake>[2],
  signal?: AbortSignal,
): Promise<StoredContent> {
  const intake = randomBytes(8).toString('hex');
  const place = { tenant, jobId: job, queue, kind, revision, object: objectName(documentId), corpus, intake };
  await putIntake(store, place, message, signal);
  return { content: { intake }, place, remove: () => removeIntake(store, place) };
}

/** The tenant's KMS key is unusable, temporarily or permanently. */
const isKeyShut = (error: unknown): error is SealdexError =>
  error instanceof SealdexError && (dispositionOf(error.code).disposition === 'park' || error.code === 'KEY_DESTROYED');

/**
 * Passes the data key for content to `encrypt`, which must be synchronous. `isFallback`: it is a key under the platform key, in place
 * of the tenant's own.
 */
async function underContentKey<T>(
  { ring, refusal, platformKeyArn }: IntakeDeps,
  tenant: ContentTenant,
  bytes: number,
  encrypt: (key: EnvelopeKey) => T,
): Promise<{ readonly result: T; readonly isFallback: boolean }> {
  const under = (keyArn: string, purpose: 'documents' | 'intake'): Promise<T> =>
    ring.encrypt(keyRef(tenant.tenant, keyArn), purpose, bytes, encrypt);
  const refused = refusal(tenant);
  try {
    if (refused) throw refused;
    return { result: await under(tenant.keyArn, 'documents'), isFallback: false };
  } catch (error) {
    if (!isKeyShut(error) || tenant.whenKeyShut === 'refuse') throw error;
    if (tenant.blocked.has(platformKeyArn)) throw error;
    return { result: await under(platformKeyArn, 'intake'), isFallback: tenant.keyArn !== platformKeyArn };
  }
}

/** The content of a job: in the job itself, or its place in S3. */
export type JobContent = { readonly inline: string } | { readonly place: IntakePlace };

/** Content that was found but not read yet: its size is needed first, for the memory budget. */
export interface LocatedContent {
  readonly bytes: number;
  readonly read: () => Promise<Buffer>;
  readonly discard: () => void;
}

/** Reason of a `STORE_FAILED` for content in intake, where S3 may respond with 403 for a missing object. */
export const INTAKE_REFUSED = 'IntakeRefused';

/** Larger than any content that settings allow (documents and files of 256 MiB): it is foreign and never held in memory. */
const MAX_MESSAGE_BYTES = 300 * 1_048_576;

const tampered = (reason: string, cause?: unknown): SealdexError =>
  new SealdexError('CONTENT_TAMPERED', undefined, { reason, cause });

/**
 * Returns undefined if the content is gone.
 * @throws SealdexError `STORE_FAILED` with reason `IntakeRefused`, `CONTENT_TAMPERED` with reason `length`
 */
export async function locateContent(
  store: Store,
  content: JobContent,
  signal: AbortSignal,
): Promise<LocatedContent | undefined> {
  if ('inline' in content) {
    const message = Buffer.from(content.inline, 'base64');
    return { bytes: message.length, read: async () => message, discard: () => {} };
  }
  try {
    const stored = await getIntake(store, content.place, signal);
    if (stored && stored.bytes > MAX_MESSAGE_BYTES) {
      stored.discard();
      throw tampered('length');
    }
    return stored && { bytes: stored.bytes, read: () => readAll(stored), discard: () => stored.discard() };
  } catch (error) {
    if (isDenial(error)) throw new SealdexError('STORE_FAILED', undefined, { reason: INTAKE_REFUSED, cause: error });
    throw error;
  }
}

export interface ExpectedContent {
  readonly id: string;
  readonly tenant: string;
  readonly corpus: string;
  readonly kind: string;
  readonly revision: number;
  /** SHA-256 of the document id, in hex. */
  readonly object: string;
}

/**
 * Decrypts content and compares its header with its job.
 * @throws SealdexError `CONTENT_TAMPERED`, with the failed check as reason; `JOB_NEWER` for a header of a newer version; those
 * of KMS
 */
export async function openContent(
  ring: KeyRing,
  allowed: Allowed,
  job: ExpectedContent,
  message: Buffer,
): Promise<{ header: ContentHeader; body: Buffer }> {
  const plaintext = await decryptMessage(message, unwrapFor(ring, allowed)).catch((error: unknown) => {
    if (error instanceof SealdexError && error.code === 'OBJECT_TAMPERED')
      throw tampered(error.reason ?? 'message', error.cause);
    throw error;
  });
  const end = plaintext.subarray(0, HEADER_BYTES_MAX).indexOf(0x0a);
  const line = end < 0 ? undefined : parseJson(plaintext.subarray(0, end));
  // Only a holder of the data key can have written it, so it is not a forgery.
  if (isNewerThan(1, line)) throw new SealdexError('JOB_NEWER');
  const header = contentHeader.safeParse(line);
  if (!header.success) throw tampered('content-header');
  const { tenant, corpus, job: id, kind, revision, documentId } = header.data;
  const actual = [tenant, corpus, id, kind, revision, objectName(documentId)];
  const expected = [job.tenant, job.corpus, job.id, job.kind, job.revision, job.object];
  if (actual.some((value, index) => value !== expected[index])) throw tampered('other-job');
  return { header: header.data, body: plaintext.subarray(end + 1) };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return parseRaw(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
