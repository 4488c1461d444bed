// Port to the object store: requests, conditions and errors for any store with conditional writes. The S3 adapter is store/s3.
import { SealdexError, type ErrorDetails } from '../runtime/errors.ts';

export interface ObjectFacts {
  readonly metadata: Readonly<Record<string, string>>;
  readonly etag: string;
  readonly bytes: number;
}

export interface StoredObject extends ObjectFacts {
  /** Read it to the end, or call `discard()`: an unread body holds a connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Time of the store when it responded, in milliseconds; undefined if the store does not give it. */
  readonly servedAt?: number | undefined;
  discard(): void;
}

/** A body of known length whose bytes arrive later. The source has its own deadlines. */
export interface StreamedBody {
  readonly bytes: number;
  readonly source: AsyncIterable<Uint8Array>;
}

/** `{ absent: true }`: only if there is no object; `{ etag }`: only if the object is unchanged. */
export type Condition = { readonly absent: true } | { readonly etag: string };

/** `exists`: the condition does not hold. `conflict`: another write was in progress. `missing`: the object to replace is gone. */
export type PutAnswer =
  | { readonly kind: 'written'; readonly etag: string }
  | { readonly kind: 'exists' | 'conflict' | 'missing' };

/** `changed`: with a condition, the object was changed or removed. */
export type RemoveAnswer = 'removed' | 'changed';

export interface ListedObject {
  readonly key: string;
  readonly etag: string;
  readonly bytes: number;
  readonly modified: Date;
}

export interface ObjectVersion {
  readonly key: string;
  /** `null` for an object in a bucket without versioning. */
  readonly versionId: string;
  /** True if a plain `get` returns it; false for replaced or deleted versions, and for delete markers. */
  readonly isCurrent: boolean;
}

interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** Start of the next page. */
export interface VersionSpot {
  readonly key: string;
  readonly id: string;
}

interface VersionPageOptions {
  readonly after?: VersionSpot | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Versions and unfinished uploads in a bucket. Used only by the deletion of a tenant. */
export interface Versions {
  /** One page of all versions and delete markers; in a bucket without versioning, of its objects. */
  listVersions(
    prefix: string,
    options?: VersionPageOptions,
  ): Promise<{ versions: ObjectVersion[]; next?: VersionSpot }>;
  /** Removes a version permanently. A missing version is no error. */
  removeVersion(version: ObjectVersion, signal?: AbortSignal): Promise<void>;
  listUploads(
    prefix: string,
    options?: VersionPageOptions,
  ): Promise<{ uploads: UnfinishedUpload[]; next?: VersionSpot }>;
  /** A missing upload is no error. */
  abortUpload(upload: UnfinishedUpload, signal?: AbortSignal): Promise<void>;
}

/**
 * Every request ends: after its deadline, at the caller's signal, or with `close()`.
 * All throw SealdexError `STORE_FAILED` or `PLATFORM_CREDENTIALS`, or the signal's reason.
 */
export interface Store extends Versions {
  /** A streamed body is sent once, without retries. Errors of its source are rethrown unchanged. */
  put(
    key: string,
    body: Uint8Array | StreamedBody,
    options: { metadata?: Record<string, string>; condition?: Condition; signal?: AbortSignal | undefined },
  ): Promise<PutAnswer>;
  /**
   * Tests write permission with a request that cannot be accepted. `written`: the store accepted it anyway.
   * @throws SealdexError `STORE_FAILED` if it is denied
   */
  tryPut(key: string, signal?: AbortSignal): Promise<'allowed' | 'written'>;
  /** Returns undefined if there is no object. */
  get(key: string, options?: { signal?: AbortSignal | undefined }): Promise<StoredObject | undefined>;
  /** Returns undefined if there is no object. */
  head(key: string, options?: { signal?: AbortSignal | undefined }): Promise<ObjectFacts | undefined>;
  /** With `etag`: only if the object is unchanged. */
  remove(key: string, options?: { etag?: string; signal?: AbortSignal | undefined }): Promise<RemoveAnswer>;
  /** One page, in the order of the keys. Pass `next` as `after` for the following page. */
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
 * `failed`: an outage or a concurrent write; temporary. `refused`: the store rejected the request or the caller. `denied`:
 * rejected because of missing permission. `unsupported`: the store does not implement the request.
 */
export type StoreErrorKind = 'failed' | 'refused' | 'denied' | 'unsupported';

/** `STORE_FAILED` with its kind. The reason is for logs and metrics only. */
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

/** Returns true if the store rejected the request: then a canary decides if the cause is the platform or one job. */
export const isRefusal = (error: unknown): error is StoreError =>
  error instanceof StoreError && (error.kind === 'refused' || error.kind === 'denied');

/** Returns true if permission is missing. Without list permission, S3 also denies access to missing objects. */
export const isDenial = (error: unknown): error is StoreError => error instanceof StoreError && error.kind === 'denied';

/** Returns true if the store does not implement the request. */
export const isUnsupported = (error: unknown): error is StoreError =>
  error instanceof StoreError && error.kind === 'unsupported';

/** Reads a body into one buffer of its exact size. @throws SealdexError `STORE_FAILED` if its length is not as announced */
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
