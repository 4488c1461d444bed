// The test double of the store port: objects, conditions, versions and injected errors in memory. No network.
import { createHash, randomUUID } from 'node:crypto';
import { FaultBook } from '../../packages/local-aws/src/fault-injection.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import {
  behindFolder,
  StoreError,
  type Condition,
  type ListedObject,
  type ObjectFacts,
  type ObjectVersion,
  type Store,
  type StoredObject,
  type StoreErrorKind,
  type StreamedBody,
  type VersionSpot,
} from '../../src/store/store.ts';

type Operation =
  | 'put'
  | 'get'
  | 'head'
  | 'remove'
  | 'list'
  | 'listFolders'
  | 'listVersions'
  | 'removeVersion'
  | 'listUploads'
  | 'abortUpload';

interface Call {
  readonly operation: Operation;
  /** The key, or the prefix of a listing. */
  readonly key: string;
}

export interface MemoryStoreMatch {
  readonly operation?: Operation;
  /** The key begins with this. */
  readonly prefix?: string;
}

export type MemoryStoreFault =
  | { readonly kind: 'error'; readonly error: StoreErrorKind; readonly reason: string }
  /** Resolves when cleared, or fails at the deadline of the call. */
  | { readonly kind: 'hang' }
  /** The request is executed, and its response is lost. */
  | { readonly kind: 'lostResponse' }
  /** A write conflicts with a parallel one of the same object, and changes nothing. */
  | { readonly kind: 'conflict' }
  /** A store that ignores conditions. */
  | { readonly kind: 'ignoreConditions' };

/** The kinds of the injected errors that apply to a call. */
type FaultKinds = ReadonlySet<MemoryStoreFault['kind']>;

const error = (kind: StoreErrorKind, reason: string): Extract<MemoryStoreFault, { kind: 'error' }> =>
  Object.freeze({ kind: 'error', error: kind, reason });

/** For `faults.set`. */
export const STORE_FAULTS = Object.freeze({
  internal: error('failed', 'InternalError'),
  slowDown: error('failed', 'SlowDown'),
  accessDenied: error('denied', 'AccessDenied'),
  noSuchBucket: error('refused', 'NoSuchBucket'),
  notImplemented: error('unsupported', 'NotImplemented'),
  /** Of a bucket's setting. */
  methodNotAllowed: error('unsupported', 'MethodNotAllowed'),
});

interface Item extends ObjectFacts {
  readonly body: Buffer;
  readonly modified: Date;
  readonly versionId: string;
  readonly isMarker: boolean;
}

const PAGE = 1000;
const CHUNK_BYTES = 65_536;

/** One bucket for any number of clients. */
export class MemoryBucket {
  readonly faults = new FaultBook<Call, MemoryStoreMatch, MemoryStoreFault>(matches);
  /** Newest version last; without versions, at most one each. */
  readonly #items = new Map<string, Item[]>();
  readonly #calls: Call[] = [];
  #keepsVersions = false;

  /** From now on replaced and removed objects stay as versions. */
  keepVersions(): void {
    this.#keepsVersions = true;
  }

  /** The number of matched calls. */
  count(match: MemoryStoreMatch = {}): number {
    return this.#calls.filter((call) => matches(match, call)).length;
  }

  /** A client of one process. */
  connect({ deadlineMs = 10_000 }: { readonly deadlineMs?: number } = {}): Store {
    const closing = new AbortController();
    const run = <T>(operation: Operation, key: string, signal: AbortSignal | undefined, work: (met: FaultKinds) => T) =>
      this.#run({ operation, key }, { signal, closed: closing.signal, deadlineMs }, work);
    return {
      put: async (key, body, { metadata = {}, condition, signal }) => {
        signal?.throwIfAborted();
        const bytes = body instanceof Uint8Array ? Buffer.from(body) : await bytesOf(body, signal);
        return run('put', key, signal, (met) => {
          if (met.has('conflict')) return { kind: 'conflict' as const };
          const answer = met.has('ignoreConditions') ? undefined : unmet(this.#current(key), condition);
          return answer === undefined
            ? { kind: 'written', etag: this.#write(key, bytes, metadata, false).etag }
            : { kind: answer };
        });
      },
      tryPut: (key, signal) => run('put', key, signal, () => 'allowed' as const),
      get: (key, { signal } = {}) =>
        run('get', key, signal, (): StoredObject | undefined => {
          const item = this.#current(key);
          return item && { ...factsOf(item), body: chunksOf(item.body, signal), discard: () => {} };
        }),
      head: (key, { signal } = {}) =>
        run('head', key, signal, () => {
          const item = this.#current(key);
          return item && factsOf(item);
        }),
      remove: (key, { etag, signal } = {}) =>
        run('remove', key, signal, (met) => {
          const item = this.#current(key);
          if (etag !== undefined && !met.has('ignoreConditions') && item?.etag !== etag) return 'changed' as const;
          if (this.#keepsVersions) this.#write(key, Buffer.alloc(0), {}, true);
          else this.#items.delete(key);
          return 'removed' as const;
        }),
      list: (prefix, { after = '', limit = PAGE, signal } = {}) =>
        run('list', prefix, signal, () => {
          const found = this.#keys(prefix).flatMap((key): ListedObject[] => {
            const item = key > after ? this.#current(key) : undefined;
            return item ? [{ key, etag: item.etag, bytes: item.bytes, modified: item.modified }] : [];
          });
          const objects = found.slice(0, limit);
          const last = objects.at(-1);
          return { objects, ...(found.length > limit && last ? { next: last.key } : {}) };
        }),
      listFolders: (prefix, { after = '', limit = PAGE, signal } = {}) =>
        run('listFolders', prefix, signal, () => {
          const found = new Set<string>();
          for (const key of this.#keys(prefix).filter((each) => each > after && this.#current(each) !== undefined)) {
            const end = key.indexOf('/', prefix.length);
            found.add(end < 0 ? key : key.slice(0, end + 1));
          }
          const page = [...found].slice(0, limit);
          const last = page.at(-1);
          return {
            folders: page
              .filter((each) => each.endsWith('/') && each !== prefix)
              .map((each) => each.slice(prefix.length, -1)),
            ...(found.size > limit && last !== undefined ? { next: behindFolder(last) } : {}),
          };
        }),
      listVersions: (prefix, { after, signal } = {}) =>
        run('listVersions', prefix, signal, () => this.#versionPage(prefix, after)),
      removeVersion: ({ key, versionId }, signal) =>
        run('removeVersion', key, signal, () => {
          const left = (this.#items.get(key) ?? []).filter((item) => item.versionId !== versionId);
          if (left.length > 0) this.#items.set(key, left);
          else this.#items.delete(key);
        }),
      // Every write is one request: multipart uploads are never left unfinished.
      listUploads: (prefix, { signal } = {}) => run('listUploads', prefix, signal, () => ({ uploads: [] })),
      abortUpload: ({ key }, signal) => run('abortUpload', key, signal, () => {}),
      close: () => closing.abort(new SealdexError('STORE_FAILED', 'The store is closed.', { reason: 'Closed' })),
    };
  }

  /** Each call takes a turn of the event loop, like a network call. */
  async #run<T>(
    call: Call,
    { signal, closed, deadlineMs }: { signal: AbortSignal | undefined; closed: AbortSignal; deadlineMs: number },
    work: (met: FaultKinds) => T,
  ): Promise<T> {
    signal?.throwIfAborted();
    closed.throwIfAborted();
    this.#calls.push(call);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    const taken = this.faults.take(call);
    const late = AbortSignal.timeout(deadlineMs);
    for (const { fault, wait } of taken) {
      if (fault.kind === 'error') throw new StoreError(fault.error, fault.reason);
      if (fault.kind === 'hang') await wait(AbortSignal.any([late, closed, ...(signal ? [signal] : [])]));
    }
    signal?.throwIfAborted();
    closed.throwIfAborted();
    if (late.aborted) throw new StoreError('failed', 'TimeoutError');
    const met: FaultKinds = new Set(taken.map(({ fault }) => fault.kind));
    const answer = work(met);
    if (met.has('lostResponse')) throw new StoreError('failed', 'RequestTimeout');
    return answer;
  }

  #current(key: string): Item | undefined {
    const item = this.#items.get(key)?.at(-1);
    return item?.isMarker === true ? undefined : item;
  }

  #write(key: string, body: Buffer, metadata: Record<string, string>, isMarker: boolean): Item {
    const item: Item = {
      body,
      bytes: body.length,
      metadata: { ...metadata },
      etag: `"${createHash('md5').update(body).digest('hex')}"`,
      modified: new Date(),
      versionId: this.#keepsVersions ? randomUUID() : 'null',
      isMarker,
    };
    this.#items.set(key, [...(this.#keepsVersions ? (this.#items.get(key) ?? []) : []), item]);
    return item;
  }

  #keys(prefix: string): string[] {
    return [...this.#items.keys()].filter((key) => key.startsWith(prefix)).toSorted();
  }

  /** Versions of a page before its markers, newest first, as the adapter lists them. */
  #versionPage(prefix: string, after: VersionSpot | undefined): { versions: ObjectVersion[]; next?: VersionSpot } {
    const all = this.#keys(prefix).flatMap((key) => {
      const items = (this.#items.get(key) ?? []).toReversed();
      return items.map(({ versionId, isMarker }, at) => ({
        isMarker,
        version: { key, versionId, isCurrent: at === 0 && !isMarker },
      }));
    });
    const from = after
      ? all.findIndex(({ version }) => version.key === after.key && version.versionId === after.id) + 1
      : 0;
    const page = all.slice(from, from + PAGE);
    const last = page.at(-1)?.version;
    const versions = page.toSorted((a, b) => Number(a.isMarker) - Number(b.isMarker)).map(({ version }) => version);
    return {
      versions,
      ...(from + PAGE < all.length && last ? { next: { key: last.key, id: last.versionId } } : {}),
    };
  }
}

function matches({ operation, prefix }: MemoryStoreMatch, call: Call): boolean {
  return (operation === undefined || operation === call.operation) && call.key.startsWith(prefix ?? '');
}

/** The result of a write if its condition does not hold; undefined if it holds. */
function unmet(item: Item | undefined, condition: Condition | undefined): 'exists' | 'missing' | undefined {
  if (condition === undefined) return undefined;
  if ('absent' in condition) return item ? 'exists' : undefined;
  if (!item) return 'missing';
  return item.etag === condition.etag ? undefined : 'exists';
}

const factsOf = ({ metadata, etag, bytes }: Item): ObjectFacts => ({ metadata: { ...metadata }, etag, bytes });

async function* chunksOf(body: Buffer, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    signal?.throwIfAborted();
    yield body.subarray(at, at + CHUNK_BYTES);
  }
  signal?.throwIfAborted();
}

/** A source that fails, or has other bytes than announced, leaves no object. */
async function bytesOf({ source, bytes }: StreamedBody, signal: AbortSignal | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) {
    signal?.throwIfAborted();
    chunks.push(chunk);
  }
  const whole = Buffer.concat(chunks);
  if (whole.length !== bytes) throw new StoreError('failed', 'LengthMismatch');
  return whole;
}
