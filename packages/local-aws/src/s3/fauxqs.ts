// fauxqs internals: the only file that accesses its app and its store, which the package does not export.
import { buildApp } from 'fauxqs';
import { createRequire } from 'node:module';

type Stores = NonNullable<NonNullable<Parameters<typeof buildApp>[0]>['stores']>;
export type App = ReturnType<typeof buildApp>;

/** Object store of fauxqs. All its methods are synchronous. */
export type ObjectStore = Stores['s3Store'];

export type StoredObject = ReturnType<ObjectStore['headObject']>;

/** Unfinished multipart uploads of a bucket, from a private field. */
export const uploadsIn = (store: ObjectStore, bucket: string): { key: string; uploadId: string }[] =>
  [
    ...(
      store as unknown as { multipartUploads: Map<string, { bucket: string; key: string; uploadId: string }> }
    ).multipartUploads.values(),
  ]
    .filter((upload) => upload.bucket === bucket)
    .map(({ key, uploadId }) => ({ key, uploadId }));

type ListOptions = NonNullable<Parameters<ObjectStore['listObjects']>[1]>;
type Listing = ReturnType<ObjectStore['listObjects']>;

/** fauxqs sorts keys by locale but continues by code unit, so that pages skip keys. S3 does both in one order. */
function listInKeyOrder(store: ObjectStore): void {
  const { buckets } = store as unknown as { buckets: Map<string, Map<string, StoredObject>> };
  const listAll = store.listObjects.bind(store);
  store.listObjects = (bucket, options = {}) => {
    const objects = buckets.get(bucket);
    // Its error for a bucket that does not exist.
    return objects ? pageOf(objects, options) : listAll(bucket, options);
  };
}

function pageOf(
  objects: ReadonlyMap<string, StoredObject>,
  { prefix = '', delimiter, maxKeys = 1000, startAfter, marker }: ListOptions,
): Listing {
  const after = startAfter ?? marker ?? '';
  const found: StoredObject[] = [];
  const folders = new Set<string>();
  const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after);
  for (const key of keys.toSorted()) {
    const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    const folder = end < 0 ? undefined : key.slice(0, end + (delimiter ?? '').length);
    if (folder !== undefined && (folders.has(folder) || folder <= after)) continue;
    if (found.length + folders.size === maxKeys)
      return { objects: found, commonPrefixes: [...folders], isTruncated: true };
    if (folder === undefined) found.push(objects.get(key)!);
    else folders.add(folder);
  }
  return { objects: found, commonPrefixes: [...folders], isTruncated: false };
}

/** Loads files next to the entry point of fauxqs, outside its export list. The lock file pins the version. */
const beside = createRequire(import.meta.resolve('fauxqs'));

/** Creates the app without listening. Its store is passed in, because conditions and writes must use the same store. */
export function createFauxqs(): { app: App; store: ObjectStore } {
  const { S3Store } = beside('./s3/s3Store.js') as { S3Store: new () => ObjectStore };
  const { SqsStore } = beside('./sqs/sqsStore.js') as { SqsStore: new () => Stores['sqsStore'] };
  const { SnsStore } = beside('./sns/snsStore.js') as { SnsStore: new () => Stores['snsStore'] };
  const store = new S3Store();
  listInKeyOrder(store);
  const stores: Stores = { s3Store: store, sqsStore: new SqsStore(), snsStore: new SnsStore() };
  return { app: buildApp({ logger: false, stores }), store };
}
