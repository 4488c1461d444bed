// The S3 client: how we connect, and the requests that we make; those about older versions are versions.ts'. Knows keys and bytes, not what they mean.
// The only importer of the SDK; every error leaves as storeFault() makes it.
import type { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type GetObjectCommandOutput,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { PROMPT_MS, systemClock, type Patience } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config.ts';
import { SealdexError } from '../../runtime/errors.ts';
import { openS3 } from './client.ts';
import { isMissing, statusOf, storeFault } from './s3-error-mapping.ts';
import { lateAnswer, sending, type StreamedBody } from './streamed.ts';
import { versionsOf, type Versions } from './versions.ts';

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

/** `{ absent: true }`: only if there is no object; `{ etag }`: only if it is still that one. */
export type Condition = { readonly absent: true } | { readonly etag: string };

/** `exists`: 412. `conflict`: 409, another write was under way. `missing`: 404, what should have been replaced is gone. */
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

export interface Store extends Versions {
  /** A streamed body is sent once: what failed is not tried again. Its source's errors leave as they are. */
  put(
    key: string,
    body: Uint8Array | StreamedBody,
    options: { metadata?: Record<string, string>; condition?: Condition; signal?: AbortSignal | undefined },
  ): Promise<PutAnswer>;
  /**
   * Whether a write is allowed, asked by one that cannot be accepted, since its Content-MD5 is another body's: S3 asks for the
   * permission first. `written`: a store that takes no notice of that. @throws SealdexError `STORE_FAILED` when it is refused
   */
  tryPut(key: string, signal?: AbortSignal): Promise<'allowed' | 'written'>;
  /** undefined: there is no such object. */
  get(key: string, options?: { signal?: AbortSignal | undefined }): Promise<StoredObject | undefined>;
  head(key: string, options?: { signal?: AbortSignal | undefined }): Promise<ObjectFacts | undefined>;
  /** With `etag`: only if it is still that object. */
  remove(key: string, options?: { etag?: string; signal?: AbortSignal | undefined }): Promise<RemoveAnswer>;
  /** One page, in the order of the keys; `next` goes into `after` for the following one. */
  list(
    prefix: string,
    options?: { after?: string; limit?: number; signal?: AbortSignal | undefined },
  ): Promise<{ objects: ListedObject[]; next?: string }>;
  close(): void;
}

const MD5_OF_NOTHING = '1B2M2Y8AsgTpgAmY7PhCfg==';

/** A request without an answer is given up after this: S3 answers in milliseconds, a large body uploads at over 1 MB/s. */
const ANSWER_MS = 10_000;
const timeoutFor = (bytes: number, prompt: boolean): number =>
  (prompt ? PROMPT_MS : ANSWER_MS) + Math.ceil(bytes / 1000);

/**
 * `prompt`: fails within a second, for callers who wait (producer, reader, operator). Every request ends: without an
 * answer in time, at the caller's signal (with its reason), or with `close()`.
 */
export function createStore(config: Config, use: Patience): Store {
  const prompt = use === 'prompt';
  const client = openS3(config, prompt);
  const Bucket = config.bucket;
  let isClosed = false;

  /**
   * Sends with a deadline for the answer beside the caller's signal. Errors leave as the caller's reason or a typed fault.
   * `expected` may turn an error into an answer. Without `bytes` the signal has the deadline.
   */
  async function send<T>(
    bytes: number | undefined,
    signal: AbortSignal | undefined,
    request: (options: { abortSignal: AbortSignal }) => Promise<T>,
    expected: (error: unknown) => { answer: T } | undefined = () => undefined,
  ): Promise<T> {
    signal?.throwIfAborted();
    // The SDK would open new connections, which nobody closes.
    if (isClosed) throw new SealdexError('STORE_FAILED', 'The store is closed.', { reason: 'Closed' });
    const late = new AbortController();
    const timer =
      bytes === undefined ? undefined : systemClock.after(timeoutFor(bytes, prompt), () => late.abort(lateAnswer()));
    const abortSignal = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
    try {
      return await request({ abortSignal });
    } catch (error) {
      const known = expected(error);
      if (known) return known.answer;
      throw abortSignal.aborted ? abortSignal.reason : storeFault(error);
    } finally {
      // From here on the signal is the body's alone: it is read at the reader's pace.
      timer?.cancel();
    }
  }

  return {
    put(Key, Body, { metadata = {}, condition, signal }) {
      const conditions =
        condition === undefined ? {} : 'absent' in condition ? { IfNoneMatch: '*' } : { IfMatch: condition.etag };
      const put = (bytes: Uint8Array | Readable, ContentLength: number, ended?: AbortSignal): Promise<PutAnswer> => {
        const command = new PutObjectCommand({
          Bucket,
          Key,
          Body: bytes,
          Metadata: metadata,
          ContentLength,
          ...conditions,
        });
        return send<PutAnswer>(
          ended ? undefined : ContentLength,
          ended ?? signal,
          async (options) => ({ kind: 'written', etag: (await client.send(command, options)).ETag ?? '' }),
          (error) => conditionAnswer(error, condition),
        );
      };
      if (Body instanceof Uint8Array) return put(Body, Body.byteLength);
      return sending(Body, timeoutFor(Body.bytes, prompt), signal, (stream, ended) => put(stream, Body.bytes, ended));
    },

    tryPut(Key, signal) {
      const command = new PutObjectCommand({ Bucket, Key, Body: Buffer.from('1'), ContentMD5: MD5_OF_NOTHING });
      return send<'allowed' | 'written'>(
        0,
        signal,
        async (options) => {
          await client.send(command, options);
          return 'written';
        },
        (error) => ((error as Error).name === 'BadDigest' ? { answer: 'allowed' } : undefined),
      );
    },

    get(Key, { signal } = {}) {
      const command = new GetObjectCommand({ Bucket, Key });
      return send<StoredObject | undefined>(
        0,
        signal,
        async (options) => {
          const answer = await client.send(command, options);
          return { ...factsOf(answer), ...bodyOf(answer, signal) };
        },
        missingAnswer,
      );
    },

    head(Key, { signal } = {}) {
      const command = new HeadObjectCommand({ Bucket, Key });
      return send<ObjectFacts | undefined>(
        0,
        signal,
        async (options) => factsOf(await client.send(command, options)),
        missingAnswer,
      );
    },

    remove(Key, { etag, signal } = {}) {
      const command = new DeleteObjectCommand({ Bucket, Key, ...(etag === undefined ? {} : { IfMatch: etag }) });
      return send<RemoveAnswer>(
        0,
        signal,
        async (options) => {
          await client.send(command, options);
          return 'removed';
        },
        (error) => (etag === undefined ? undefined : changedAnswer(error)),
      );
    },

    async list(Prefix, { after, limit = 1000, signal } = {}) {
      const from = after === undefined ? {} : { StartAfter: after };
      const command = new ListObjectsV2Command({ Bucket, Prefix, MaxKeys: limit, ...from });
      const { Contents = [], IsTruncated } = await send(0, signal, (options) => client.send(command, options));
      const objects = Contents.map(({ Key = '', ETag = '', Size = 0, LastModified = new Date(0) }) => ({
        key: Key,
        etag: ETag,
        bytes: Size,
        modified: LastModified,
      }));
      const last = objects.at(-1);
      return { objects, ...(IsTruncated && last ? { next: last.key } : {}) };
    },

    ...versionsOf(client, Bucket, send),

    close() {
      isClosed = true;
      client.destroy();
    },
  };
}

function conditionAnswer(error: unknown, condition: Condition | undefined): { answer: PutAnswer } | undefined {
  if (condition === undefined) return undefined;
  const status = statusOf(error);
  if (status === 412) return { answer: { kind: 'exists' } };
  if (status === 409) return { answer: { kind: 'conflict' } };
  return 'etag' in condition && isMissing(error) ? { answer: { kind: 'missing' } } : undefined;
}

const changedAnswer = (error: unknown): { answer: RemoveAnswer } | undefined =>
  [409, 412].includes(statusOf(error) ?? 0) || isMissing(error) ? { answer: 'changed' } : undefined;

const missingAnswer = (error: unknown): { answer: undefined } | undefined =>
  isMissing(error) ? { answer: undefined } : undefined;

const factsOf = (answer: HeadObjectCommandOutput | GetObjectCommandOutput): ObjectFacts => ({
  metadata: answer.Metadata ?? {},
  etag: answer.ETag ?? '',
  bytes: answer.ContentLength ?? 0,
});

function bodyOf(
  answer: GetObjectCommandOutput,
  signal: AbortSignal | undefined,
): Pick<StoredObject, 'body' | 'discard'> {
  const stream = answer.Body as unknown as Readable | undefined;
  // A body that ends before anybody reads it says so to nobody: without a listener that would end the process.
  stream?.on('error', () => {});
  async function* body(): AsyncGenerator<Uint8Array> {
    if (!stream) return;
    try {
      // undici ends the body at the signal that the request had; what was buffered before is not given out either.
      signal?.throwIfAborted();
      for await (const chunk of stream) {
        yield chunk;
        signal?.throwIfAborted();
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : storeFault(error);
    }
  }
  return { body: body(), discard: () => void stream?.destroy() };
}

/** All of a body in one buffer of its exact size. @throws SealdexError `STORE_FAILED` when it is not as long as announced. */
export async function readAll({ body, bytes }: Pick<StoredObject, 'body' | 'bytes'>): Promise<Buffer> {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  for await (const chunk of body) {
    if (filled + chunk.length > bytes) throw new SealdexError('STORE_FAILED', undefined, { reason: 'LengthMismatch' });
    whole.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== bytes) throw new SealdexError('STORE_FAILED', undefined, { reason: 'LengthMismatch' });
  return whole;
}
