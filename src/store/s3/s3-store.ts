// S3 adapter of the store: its requests, each with a deadline. storeFault() converts every error.
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
import { systemClock, type WaitMode } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config.ts';
import { deadlines } from '../../runtime/deadlines.ts';
import { SealdexError } from '../../runtime/errors.ts';
import {
  behindFolder,
  type Condition,
  type ObjectFacts,
  type PutAnswer,
  type RemoveAnswer,
  type Store,
  type StoredObject,
} from '../store.ts';
import { openS3, servedAt } from './client.ts';
import { isMissing, statusOf, storeFault } from './s3-error-mapping.ts';
import { lateAnswer, sendStream } from './streamed.ts';
import { versionsOf } from './versions.ts';

const MD5_OF_NOTHING = '1B2M2Y8AsgTpgAmY7PhCfg==';

/** A large body uploads at more than 1 MB/s. */
const timeoutFor = (bytes: number, prompt: boolean): number =>
  (prompt ? deadlines.promptMs : deadlines.s3Ms) + Math.ceil(bytes / 1000);

const changedAnswer = (error: unknown): { answer: RemoveAnswer } | undefined =>
  [409, 412].includes(statusOf(error) ?? 0) || isMissing(error) ? { answer: 'changed' } : undefined;

const missingAnswer = (error: unknown): { answer: undefined } | undefined =>
  isMissing(error) ? { answer: undefined } : undefined;

const factsOf = (answer: HeadObjectCommandOutput | GetObjectCommandOutput): ObjectFacts => ({
  metadata: answer.Metadata ?? {},
  etag: answer.ETag ?? '',
  bytes: answer.ContentLength ?? 0,
});

/**
 * `prompt`: fails within a second, for callers that wait (producer, reader, operator). Every request ends: after its deadline, at
 * the caller's signal (with its reason), or with `close()`.
 */
export function createStore(config: Config, use: WaitMode): Store {
  const prompt = use === 'prompt';
  const client = openS3(config, prompt);
  const Bucket = config.bucket;
  let isClosed = false;

  /**
   * Sends a request with a deadline for the response, in addition to the caller's signal. Throws the caller's reason or a typed
   * error. `expected` may convert an error to a result. Without `bytes`, the signal has the deadline.
   */
  async function send<T>(
    bytes: number | undefined,
    signal: AbortSignal | undefined,
    request: (options: { abortSignal: AbortSignal }) => Promise<T>,
    expected: (error: unknown) => { answer: T } | undefined = () => undefined,
  ): Promise<T> {
    signal?.throwIfAborted();
    // The SDK would open new connections, which nothing closes.
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
      // From here on, the signal only ends the body, which has no deadline: its reader sets the pace.
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
      return sendStream(Body, timeoutFor(Body.bytes, prompt), signal, (stream, ended) =>
        put(stream, Body.bytes, ended),
      );
    },

    // Its Content-MD5 does not match: S3 checks the permission first.
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
          return { ...factsOf(answer), servedAt: servedAt(answer), ...bodyOf(answer, signal) };
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

    async listFolders(Prefix, { after, limit = 1000, signal } = {}) {
      const from = after === undefined ? {} : { StartAfter: after };
      const command = new ListObjectsV2Command({ Bucket, Prefix, Delimiter: '/', MaxKeys: limit, ...from });
      const {
        Contents = [],
        CommonPrefixes = [],
        IsTruncated,
      } = await send(0, signal, (options) => client.send(command, options));
      const found = CommonPrefixes.map((each) => each.Prefix ?? '');
      const ends = [...Contents.slice(-1).map(({ Key = '' }) => Key), ...found.slice(-1).map(behindFolder)];
      const last = ends.toSorted().at(-1);
      return {
        folders: found.map((folder) => folder.slice(Prefix.length, -1)),
        ...(IsTruncated && last !== undefined ? { next: last } : {}),
      };
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

function bodyOf(
  answer: GetObjectCommandOutput,
  signal: AbortSignal | undefined,
): Pick<StoredObject, 'body' | 'discard'> {
  const stream = answer.Body as unknown as Readable | undefined;
  // An unread body that fails has no other listener, which would end the process.
  stream?.on('error', () => {});
  async function* body(): AsyncGenerator<Uint8Array> {
    if (!stream) return;
    try {
      // undici ends the body at the request's signal. Buffered bytes are not returned either.
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
