// Object files of the emulator: one file per object, replaced atomically, so that a crash leaves the old object or the new one.
// Synchronous, because fauxqs calls it in the same tick in which it changes its memory.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { ObjectStore } from './fauxqs.ts';

type Persistence = NonNullable<ObjectStore['persistence']>;
type StoredObject = Parameters<Persistence['upsertObject']>[1];
type Header = Omit<StoredObject, 'body' | 'lastModified'> & { readonly lastModified: string };
type BucketFile = { readonly type: Parameters<Persistence['insertBucket']>[2]; readonly created: string };

const LENGTH_BYTES = 4;
const BUCKET_FILE = 'bucket.json';
const nothing = (): void => undefined;

/** Loads the objects of the folder into the store, and writes later changes to the folder. */
export function persistObjects(store: ObjectStore, dir: string): void {
  const files = objectFiles(dir);
  // Before `persistence` is set; otherwise loading would write each file again.
  files.loadS3(store);
  store.persistence = files;
}

const foldersIn = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(dir, entry.name));

/** Persistence interface of fauxqs. Unfinished multipart uploads and lifecycle rules are not kept. */
function objectFiles(dir: string): Persistence {
  mkdirSync(dir, { recursive: true });
  const pathOf = (bucket: string, key: string): string => {
    const name = createHash('sha256').update(key).digest('hex');
    return join(dir, bucket, name.slice(0, 2), name);
  };
  const upsertObject = (bucket: string, object: StoredObject): void => writeObject(pathOf(bucket, object.key), object);
  const deleteObject = (bucket: string, key: string): void => rmSync(pathOf(bucket, key), { force: true });
  const deleteBucket = (bucket: string): void => rmSync(join(dir, bucket), { recursive: true, force: true });
  const buckets = (): string[] => readdirSync(dir).filter((name) => existsSync(join(dir, name, BUCKET_FILE)));
  const deleteObjectsByBucket = (bucket: string): void => {
    for (const folder of foldersIn(join(dir, bucket))) rmSync(folder, { recursive: true, force: true });
  };
  return {
    upsertObject,
    deleteObject,
    deleteBucket,
    deleteObjectsByBucket,
    insertBucket(name, created, type) {
      mkdirSync(join(dir, name), { recursive: true });
      writeFileSync(
        join(dir, name, BUCKET_FILE),
        JSON.stringify({ type, created: created.toISOString() } satisfies BucketFile),
      );
    },
    deleteAllObjects: () => buckets().forEach(deleteObjectsByBucket),
    purgeAll: () => buckets().forEach(deleteBucket),
    renameObject(bucket, from, to) {
      const { header, body } = readObject(pathOf(bucket, from));
      upsertObject(bucket, { ...header, key: to, lastModified: new Date(header.lastModified), body });
      deleteObject(bucket, from);
    },
    readBody: (bucket, key) => readObject(pathOf(bucket, key)).body,
    completeMultipartUpload: (_uploadId, bucket, object) => upsertObject(bucket, object),
    loadS3(store) {
      for (const bucket of buckets()) load(store, bucket, join(dir, bucket));
    },
    saveBucketLifecycleConfiguration: nothing,
    deleteBucketLifecycleConfiguration: nothing,
    insertMultipartUpload: nothing,
    upsertMultipartPart: nothing,
    deleteMultipartUpload: nothing,
    deleteAllMultipartUploads: nothing,
    close: nothing,
  };
}

function load(store: ObjectStore, bucket: string, dir: string): void {
  const { type, created } = JSON.parse(readFileSync(join(dir, BUCKET_FILE), 'utf8')) as BucketFile;
  store.createBucket(bucket, type);
  store.setBucketCreationDate(bucket, new Date(created));
  for (const file of foldersIn(dir).flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))) {
    if (file.endsWith('.tmp')) rmSync(file, { force: true });
    else {
      const header = readHeader(file);
      store.restoreObject(bucket, { ...header, lastModified: new Date(header.lastModified), body: Buffer.alloc(0) });
    }
  }
}

/** File format: length of the header, the header as JSON, then the body. */
function writeObject(file: string, { body, ...rest }: StoredObject): void {
  const header = Buffer.from(JSON.stringify({ ...rest, lastModified: rest.lastModified.toISOString() }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(header.length);
  mkdirSync(dirname(file), { recursive: true });
  const temp = `${file}.tmp`;
  writeFileSync(temp, Buffer.concat([length, header, body]), { mode: 0o600 });
  renameSync(temp, file);
}

function readObject(file: string): { header: Header; body: Buffer } {
  const bytes = readFileSync(file);
  const end = LENGTH_BYTES + bytes.readUInt32BE(0);
  return { header: JSON.parse(bytes.toString('utf8', LENGTH_BYTES, end)) as Header, body: bytes.subarray(end) };
}

function readHeader(file: string): Header {
  const handle = openSync(file, 'r');
  try {
    const length = Buffer.alloc(LENGTH_BYTES);
    readSync(handle, length);
    const header = Buffer.alloc(length.readUInt32BE(0));
    readSync(handle, header);
    return JSON.parse(header.toString('utf8')) as Header;
  } finally {
    closeSync(handle);
  }
}
