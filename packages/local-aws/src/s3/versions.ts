// Object versions and unfinished uploads of the S3 emulator, which fauxqs does not support: keeps, lists and removes versions of
// enabled buckets, and lists multipart uploads. In memory only.
import { randomBytes } from 'node:crypto';
import { uploadsIn, type ObjectStore, type StoredObject } from './fauxqs.ts';
import type { S3Call } from './fault-injection.ts';

interface Version {
  readonly id: string;
  /** Absent for a delete marker. */
  readonly object?: StoredObject;
}

export interface VersionResponse {
  readonly status: number;
  readonly xml?: string;
}

const PAGE = 1000;
const newId = (): string => randomBytes(16).toString('hex');

const wrapped = (name: string, inner: string): string => `<${name}>${inner}</${name}>`;
const element = (name: string, text: string): string =>
  wrapped(name, text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'));

export class VersionBook {
  readonly #store: ObjectStore;
  /** Versions by bucket and key, newest first, for buckets that keep them. */
  readonly #kept = new Map<string, Map<string, Version[]>>();
  readonly #deleteObject: ObjectStore['deleteObject'];

  constructor(store: ObjectStore) {
    this.#store = store;
    const put = store.putObject.bind(store);
    this.#deleteObject = store.deleteObject.bind(store);
    store.putObject = (bucket, key, ...rest) => {
      const object = put(bucket, key, ...rest);
      this.#add(bucket, key, { id: newId(), object: { ...object } });
      return object;
    };
    store.deleteObject = (bucket, key) => {
      this.#deleteObject(bucket, key);
      this.#add(bucket, key, { id: newId() });
    };
  }

  /** The bucket keeps replaced and deleted versions from now on. */
  enable(bucket: string): void {
    if (this.#kept.has(bucket)) return;
    this.#kept.set(bucket, new Map(this.#objects(bucket, '').map((object) => [object.key, [{ id: 'null', object }]])));
  }

  /** Returns undefined for a request that fauxqs handles. */
  respond({ method, bucket, key, kind }: S3Call, url: string): VersionResponse | undefined {
    const query = new URLSearchParams(url.split('?', 2)[1] ?? '');
    if (kind === 'versions') return { status: 200, xml: this.#listing(bucket, key, query) };
    if (kind === 'uploads') return { status: 200, xml: this.#uploads(bucket, key) };
    const id = query.get('versionId');
    if (method !== 'DELETE' || kind !== 'object' || id === null) return undefined;
    this.#remove(bucket, key, id);
    return { status: 204 };
  }

  #add(bucket: string, key: string, version: Version): void {
    const kept = this.#kept.get(bucket);
    kept?.set(key, [version, ...(kept.get(key) ?? [])]);
  }

  #remove(bucket: string, key: string, id: string): void {
    const kept = this.#kept.get(bucket);
    if (!kept) {
      if (id === 'null') this.#deleteObject(bucket, key);
      return;
    }
    const left = (kept.get(key) ?? []).filter((version) => version.id !== id);
    if (left.length > 0) kept.set(key, left);
    else kept.delete(key);
    const [latest] = left;
    if (latest?.object) this.#store.restoreObject(bucket, latest.object);
    else this.#deleteObject(bucket, key);
  }

  #objects(bucket: string, prefix: string): StoredObject[] {
    return this.#store.listObjects(bucket, { prefix, maxKeys: Number.MAX_SAFE_INTEGER }).objects;
  }

  #listing(bucket: string, prefix: string, query: URLSearchParams): string {
    const kept = this.#kept.get(bucket);
    const versions = kept
      ? [...kept].filter(([key]) => key.startsWith(prefix))
      : this.#objects(bucket, prefix).map((object): [string, Version[]] => [object.key, [{ id: 'null', object }]]);
    const rows = versions
      .sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
      .flatMap(([key, own]) => own.map((version, at) => ({ key, version, isLatest: at === 0 })));
    const [afterKey, afterId] = [query.get('key-marker'), query.get('version-id-marker')];
    const from = rows.findIndex(({ key, version }) => key === afterKey && version.id === afterId) + 1;
    const size = Number(query.get('max-keys') ?? PAGE);
    const page = rows.slice(from, from + size);
    const last = page.at(-1);
    const isTruncated = from + page.length < rows.length && last !== undefined;
    const next = isTruncated
      ? element('NextKeyMarker', last.key) + element('NextVersionIdMarker', last.version.id)
      : '';
    const listed = page.map(({ key, version, isLatest }) =>
      wrapped(
        version.object ? 'Version' : 'DeleteMarker',
        element('Key', key) + element('VersionId', version.id) + element('IsLatest', String(isLatest)),
      ),
    );
    return wrapped('ListVersionsResult', element('IsTruncated', String(isTruncated)) + next + listed.join(''));
  }

  #uploads(bucket: string, prefix: string): string {
    const uploads = uploadsIn(this.#store, bucket).filter(({ key }) => key.startsWith(prefix));
    const listed = uploads.map(({ key, uploadId }) =>
      wrapped('Upload', element('Key', key) + element('UploadId', uploadId)),
    );
    return wrapped('ListMultipartUploadsResult', element('IsTruncated', 'false') + listed.join(''));
  }
}
