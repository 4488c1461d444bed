// The S3 client: how we connect, and the five requests that we make. Knows keys and bytes, not what they mean.
// The only importer of the SDK; every error leaves as storeFault() makes it.
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type GetObjectCommandOutput,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { UndiciHttpHandler } from '@smithy/undici-http-handler';
import { systemClock } from '../clock.ts';
import { credentialsOf, type Config } from '../config.ts';
import { SealdexError } from '../errors.ts';
import { statusOf, storeFault } from './faults.ts';

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

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly modified: Date;
}

export interface Store {
  put(
    key: string,
    body: Uint8Array,
    options: { metadata?: Record<string, string>; condition?: Condition; signal?: AbortSignal | undefined },
  ): Promise<PutAnswer>;
  /** undefined: there is no such object. */
  get(key: string, options?: { signal?: AbortSignal | undefined }): Promise<StoredObject | undefined>;
  head(key: string, options?: { signal?: AbortSignal | undefined }): Promise<ObjectFacts | undefined>;
  remove(key: string, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /** One page, in the order of the keys; `next` goes into `after` for the following one. */
  list(
    prefix: string,
    options?: { after?: string; limit?: number; delimiter?: string; signal?: AbortSignal | undefined },
  ): Promise<{ objects: ListedObject[]; next?: string }>;
  close(): void;
}

/** A request without an answer is given up after this: S3 answers in milliseconds, a large body uploads at over 1 MB/s. */
const ANSWER_MS = 10_000;
const PROMPT_MS = 900;
const timeoutFor = (bytes: number, prompt: boolean): number =>
  (prompt ? PROMPT_MS : ANSWER_MS) + Math.ceil(bytes / 1000);

/** `prompt`: fails within a second, for callers who wait (producer, reader, operator). */
export function createStore(config: Config, use: 'patient' | 'prompt'): Store {
  const prompt = use === 'prompt';
  const client = new S3Client({
    region: config.region,
    forcePathStyle: config.s3ForcePathStyle,
    // Two attempts in all: jobs have their own retries, and the two must not multiply.
    maxAttempts: 2,
    // The signature covers a hash of the body already; a second checksum costs a fifth of a PUT.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new UndiciHttpHandler({
      dispatcher: {
        connections: config.concurrency + 8,
        connect: { timeout: prompt ? PROMPT_MS / 2 : 3000 },
        headersTimeout: 60_000,
        bodyTimeout: 30_000,
        keepAliveTimeout: 20_000,
      },
    }),
    ...(config.s3Endpoint === undefined ? {} : { endpoint: config.s3Endpoint }),
    ...credentialsOf(config),
  });
  const Bucket = config.bucket;

  /** Sends with a deadline of its own beside the caller's signal; an abort by the caller stays the caller's error. */
  async function send<T>(
    bytes: number,
    signal: AbortSignal | undefined,
    request: (abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const deadline = AbortSignal.timeout(timeoutFor(bytes, prompt));
    try {
      return await request(signal ? AbortSignal.any([signal, deadline]) : deadline);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (deadline.aborted) throw new SealdexError('STORE_FAILED', undefined, { reason: 'TimeoutError', cause: error });
      throw error;
    }
  }

  return {
    async put(Key, Body, { metadata = {}, condition, signal }) {
      const conditions =
        condition === undefined ? {} : 'absent' in condition ? { IfNoneMatch: '*' } : { IfMatch: condition.etag };
      const command = new PutObjectCommand({
        Bucket,
        Key,
        Body,
        Metadata: metadata,
        ContentLength: Body.byteLength,
        ...conditions,
      });
      try {
        const { ETag } = await send(Body.byteLength, signal, (abortSignal) => client.send(command, { abortSignal }));
        return { kind: 'written', etag: ETag ?? '' };
      } catch (error) {
        const answer = condition && conditionAnswer(error, condition);
        if (answer) return answer;
        throw faultUnlessAborted(error, signal);
      }
    },

    async get(Key, { signal } = {}) {
      try {
        // The deadline is for the answer; the body has its own (bodyTimeout), since it is read at the reader's pace.
        const headers = new AbortController();
        const timer = systemClock.after(timeoutFor(0, prompt), () => headers.abort());
        try {
          const abortSignal = signal ? AbortSignal.any([signal, headers.signal]) : headers.signal;
          const answer = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal });
          return { ...factsOf(answer), ...bodyOf(answer, signal) };
        } finally {
          timer.cancel();
        }
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw faultUnlessAborted(error, signal);
      }
    },

    async head(Key, { signal } = {}) {
      try {
        return factsOf(
          await send(0, signal, (abortSignal) => client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal })),
        );
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw faultUnlessAborted(error, signal);
      }
    },

    async remove(Key, { signal } = {}) {
      try {
        await send(0, signal, (abortSignal) => client.send(new DeleteObjectCommand({ Bucket, Key }), { abortSignal }));
      } catch (error) {
        throw faultUnlessAborted(error, signal);
      }
    },

    async list(Prefix, { after, limit = 1000, signal } = {}) {
      try {
        const command = new ListObjectsV2Command({
          Bucket,
          Prefix,
          MaxKeys: limit,
          ...(after === undefined ? {} : { StartAfter: after }),
        });
        const { Contents = [], IsTruncated } = await send(0, signal, (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        const objects = Contents.map(({ Key = '', Size = 0, LastModified = new Date(0) }) => ({
          key: Key,
          bytes: Size,
          modified: LastModified,
        }));
        const last = objects.at(-1);
        return { objects, ...(IsTruncated && last ? { next: last.key } : {}) };
      } catch (error) {
        throw faultUnlessAborted(error, signal);
      }
    },

    close: () => client.destroy(),
  };
}

function conditionAnswer(error: unknown, condition: Condition): PutAnswer | undefined {
  const status = statusOf(error);
  if (status === 412) return { kind: 'exists' };
  if (status === 409) return { kind: 'conflict' };
  if (status === 404 && 'etag' in condition && (error as Error).name === 'NoSuchKey') return { kind: 'missing' };
  return undefined;
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && statusOf(error) === 404 && (error.name === 'NoSuchKey' || error.name === 'NotFound');

const faultUnlessAborted = (error: unknown, signal: AbortSignal | undefined): unknown =>
  signal?.aborted ? signal.reason : storeFault(error);

const factsOf = (answer: HeadObjectCommandOutput | GetObjectCommandOutput): ObjectFacts => ({
  metadata: answer.Metadata ?? {},
  etag: answer.ETag ?? '',
  bytes: answer.ContentLength ?? 0,
});

function bodyOf(
  answer: GetObjectCommandOutput,
  signal: AbortSignal | undefined,
): Pick<StoredObject, 'body' | 'discard'> {
  const stream = answer.Body as unknown as (AsyncIterable<Uint8Array> & { destroy(): void }) | undefined;
  async function* body(): AsyncGenerator<Uint8Array> {
    if (!stream) return;
    const onAbort = (): void => stream.destroy();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const chunk of stream) yield chunk;
      signal?.throwIfAborted();
    } catch (error) {
      throw faultUnlessAborted(error, signal);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      stream.destroy();
    }
  }
  return { body: body(), discard: () => stream?.destroy() };
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
