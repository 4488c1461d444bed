// The port of the object store: requests, conditions and errors, in terms that any store with conditional writes can meet.
// The adapter for S3 is store/s3; no other file knows which store it is.
import { SealdexError, type ErrorDetails } from '../runtime/errors.ts';

export interface ObjectFacts {
  readonly metadata: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly bytes: number;
}

export interface StoredObject extends ObjectFacts {
  /** Read it to the end, or `discard()` it: an unread body holds a connection. */
  readonly body: AsyncIterable<Uint8Array>;
  discard(): void;
}

/** A body whose length is known before its bytes are there. The source has deadlines of its own. */
export interface StreamedBody {
  readonly bytes: number;
  readonly source: AsyncIterable<Uint8Array>;
}

/** `{ absent: true }`: only if there is no object; `{ etag }`: only if it is still that one. */
export type Condition = { readonly absent: true } | { readonly etag: string };

/** `exists`: the condition does not hold. `conflict`: another write was in progress. `missing`: the object to replace is gone. */
export type PutAnswer =
  | { readonly kind: 'written'; readonly etag: string }
  | { readonly kind: 'exists' | 'conflict' | 'missing' };

/** `changed`: with a condition, it is another object by now, or is gone. */
export type RemoveAnswer = 'removed' | 'changed';

export interface ListedObject {
  readonly key: string;
  readonly etag: string;
  readonly bytes: number;
  readonly modified: Date;
}

export interface ObjectVersion {
  readonly key: string;
  /** `null` for an object of a bucket without versions. */
  readonly versionId: string;
  /** Whether a plain `get` finds it: false for what was replaced or deleted, and for delete markers. */
  readonly isCurrent: boolean;
}

interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** Where the next page begins. */
export interface VersionSpot {
  readonly key: string;
  readonly id: string;
}

interface VersionPageOptions {
  readonly after?: VersionSpot | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a bucket keeps beside its objects. Only the deletion of a tenant asks for it. */
export interface Versions {
  /** One page of all versions and delete markers; of a bucket without versions, its objects. */
  listVersions(
    prefix: string,
    options?: VersionPageOptions,
  ): Promise<{ versions: ObjectVersion[]; next?: VersionSpot }>;
  /** Removes a version permanently. One that is gone is no error. */
  removeVersion(version: ObjectVersion, signal?: AbortSignal): Promise<void>;
  listUploads(
    prefix: string,
    options?: VersionPageOptions,
  ): Promise<{ uploads: UnfinishedUpload[]; next?: VersionSpot }>;
  /** An upload that is gone is no error. */
  abortUpload(upload: UnfinishedUpload, signal?: AbortSignal): Promise<void>;
}

/**
 * Every request ends: without an answer in time, at the caller's signal, or with `close()`.
 * All throw SealdexError `STORE_FAILED` or `PLATFORM_CREDENTIALS`, or the signal's reason.
 */
export interface Store extends Versions {
  /** A streamed body is sent once: what failed is not tried again. Its source's errors leave as they are. */
  put(
    key: string,
    body: Uint8Array | StreamedBody,
    options: { metadata?: Record<string, string>; condition?: Condition; signal?: AbortSignal | undefined },
  ): Promise<PutAnswer>;
  /**
   * Whether a write is allowed, asked by one that cannot be accepted. `written`: the store accepted it all the same.
   * @throws SealdexError `STORE_FAILED` when it is refused
   */
  tryPut(key: string, signal?: AbortSignal): Promise<'allowed' | 'written'>;
  /** undefined: there is no such object. */
  get(key: string, options?: { signal?: AbortSignal | undefined }): Promise<StoredObject | undefined>;
  /** undefined: there is no such object. */
  head(key: string, options?: { signal?: AbortSignal | undefined }): Promise<ObjectFacts | undefined>;
  /** With `etag`: only if it is still that object. */
  remove(key: string, options?: { etag?: string; signal?: AbortSignal | undefined }): Promise<RemoveAnswer>;
  /** One page, in the order of the keys; `next` goes into `after` for the following one. */
  list(
    prefix: string,
    options?: { after?: string; limit?: number; signal?: AbortSignal | undefined },
  ): Promise<{ objects: ListedObject[]; next?: string }>;
  /**
   * Names of the folders directly below a prefix that ends with `/`, one page in the order of the keys; `next` goes into `after`. A page
   * may have no folders and a `next`: objects directly below the prefix count as well.
   */
  listFolders(
    prefix: string,
    options?: { after?: string; limit?: number; signal?: AbortSignal | undefined },
  ): Promise<{ folders: string[]; next?: string }>;
  close(): void;
}

/** A key behind all keys of a folder, given with its `/`: the character after `/` is `0`. */
export const behindFolder = (folder: string): string => folder.replace(/\/$/, '0');

/**
 * `failed`: an outage, or another write at the same time; it passes. `refused`: the store rejects the request or the caller.
 * `denied`: a refusal for lack of permission. `unsupported`: the store has no such request.
 */
export type StoreErrorKind = 'failed' | 'refused' | 'denied' | 'unsupported';

/** `STORE_FAILED`, with its kind; the reason is for log and counter only. */
type StoreErrorDetails = Pick<ErrorDetails, 'cause' | 'requestId'> & { readonly message?: string };

export class StoreError extends SealdexError {
  readonly #kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, reason: string, details: StoreErrorDetails = {}) {
    const { message, ...rest } = details;
    super('STORE_FAILED', message, { reason, ...rest });
    this.#kind = kind;
  }

  get kind(): StoreErrorKind {
    return this.#kind;
  }
}

/** Whether the store refused, rather than failed: then a canary has to tell whether the platform is at fault or one job. */
export const isRefusal = (error: unknown): error is StoreError =>
  error instanceof StoreError && (error.kind === 'refused' || error.kind === 'denied');

/** Whether permission is missing. Without permission to list, a store denies what is not there, too. */
export const isDenial = (error: unknown): error is StoreError => error instanceof StoreError && error.kind === 'denied';

/** Whether the store has no such request. */
export const isUnsupported = (error: unknown): error is StoreError =>
  error instanceof StoreError && error.kind === 'unsupported';

/** All of a body in one buffer of its exact size. @throws SealdexError `STORE_FAILED` when it is not as long as announced. */
export async function readAll({ body, bytes }: Pick<StoredObject, 'body' | 'bytes'>): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  for await (const chunk of body) {
    if (filled + chunk.length > bytes) throw new StoreError('failed', 'LengthMismatch');
    whole.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== bytes) throw new StoreError('failed', 'LengthMismatch');
  return whole;
}
