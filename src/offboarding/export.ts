// Tenant export: writes all objects of a tenant into a folder, as ciphertext. Needs no KMS key and no open gate.
// Files appear complete. After an interruption the next run fetches only missing and changed files.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { checkName } from '../runtime/names.ts';
import { stateOf } from '../store/revisions.ts';
import type { ListedObject, Store } from '../store/store.ts';
import type { Tenants } from '../tenants/tenants.ts';
import { exportNote, type Waiting } from './export-note.ts';
import { fileOf, saveBody, sha256Of } from './files.ts';
import { claim } from './folder.ts';
import { lockFolder } from './lock.ts';
import { openManifest, type ManifestLine } from './manifest.ts';
import { countDocumentJobs, type KeyspaceDeps } from './keyspace.ts';
import { namedKeys } from './named-keys.ts';
import { prefixOf, type Folder } from './objects.ts';

export interface ExportDeps extends KeyspaceDeps {
  readonly store: Store;
  readonly tenants: Pick<Tenants, 'show'>;
  readonly clock: Clock;
  readonly config: Pick<Config, 'queue' | 'platformKeyArn' | 'platformFormerKeyArns'>;
}

/** Result of an export. */
export interface Exported {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Number of documents. */
  readonly documents: number;
  /** Number of original files. */
  readonly originals: number;
  /** Number of deleted documents; only their deletion is recorded. */
  readonly deletions: number;
  /** Size of the files in bytes. */
  readonly bytes: number;
  /** Number of files that this call wrote. */
  readonly fetched: number;
  /** Number of files that an earlier call wrote. */
  readonly kept: number;
  /** ARNs of the KMS keys of the files: those that the tenant has or had, and the platform keys. */
  readonly kmsKeyArns: readonly string[];
  /** Number of files that sealdex did not write: their key was never the tenant's, or they are no messages. */
  readonly unknownKeyFiles: number;
  /** Jobs and content that are not in the export. */
  readonly waiting: Waiting;
}

/** Options of `exportTenant`. */
export interface ExportOptions {
  /** Cancels the export, which then rejects with the signal's reason. The next call continues it. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of files that are in the folder and the number of all files. */
  readonly onProgress?: (done: number, total: number) => void;
}

const STORED = ['documents', 'originals'] as const;
const CONCURRENCY = 16;
const NOTE = 'README.txt';

/** ETags have quotes. */
const unquote = (etag: string): string => etag.replaceAll('"', '');

/**
 * @throws SealdexError `TENANT_UNKNOWN`, `DOCUMENT_INVALID` with field `dir` for a folder with other things or links in it
 * or that another run writes into, `STORE_FAILED`; and the errors of Node's file system
 */
export async function exportTenant(
  deps: ExportDeps,
  tenant: string,
  dir: string,
  { signal, onProgress = () => {} }: ExportOptions = {},
): Promise<Exported> {
  const { store, tenants, clock, config } = deps;
  await tenants.show(checkName(tenant, 'tenant'));
  await claim(dir, tenant);
  await using _ = await lockFolder(dir);
  // Before the objects: a job that ends meanwhile may be counted and exported, but never neither.
  const waiting: Waiting = {
    ...(await countDocumentJobs(deps, tenant, signal)),
    intake: await countObjects(store, ['intake'], tenant, signal),
  };
  const total = await countObjects(store, STORED, tenant, signal);
  const manifest = await openManifest(dir);
  const counts = { documents: 0, originals: 0, deletions: 0, bytes: 0, fetched: 0, kept: 0 };
  const keys = namedKeys();
  let done = 0;
  for (const folder of STORED) {
    for await (const page of pagesOf(store, prefixOf(folder, tenant), signal)) {
      for (let from = 0; from < page.length; from += CONCURRENCY) {
        const batch = page.slice(from, from + CONCURRENCY);
        const lines = await exportAll(batch);
        await manifest.write(lines);
        for (const { deleted, bytes, kmsKeyArn } of lines) {
          counts[deleted ? 'deletions' : folder] += 1;
          counts.bytes += deleted ? 0 : bytes;
          if (!deleted) keys.add(kmsKeyArn);
        }
        onProgress((done += batch.length), Math.max(total, done));
      }
    }
  }
  for (const { file } of await manifest.finish()) if (file !== undefined) await removeFile(dir, tenant, file);
  const exportKeys = keys.keysOf(await tenants.show(tenant), platformArns(config));
  const note = exportNote({ tenant, at: new Date(clock.now()), ...counts, ...exportKeys, waiting });
  await writeFile(join(dir, NOTE), note);
  const kmsKeyArns = [...exportKeys.ownArns, ...exportKeys.platformArns].toSorted();
  return { tenant, ...counts, kmsKeyArns, unknownKeyFiles: exportKeys.unknownKeyFiles, waiting };

  /** Rejects only after all writes have ended, because the folder's lock is released then. */
  async function exportAll(batch: readonly ListedObject[]): Promise<ManifestLine[]> {
    const failed = new AbortController();
    const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    const exports = batch.map((listed) => exportOne(listed, manifest.take(listed.key), either));
    for (const one of exports) one.catch((error: unknown) => failed.abort(error));
    await Promise.allSettled(exports);
    failed.signal.throwIfAborted();
    return (await Promise.all(exports)).filter((line) => line !== undefined);
  }

  /** Undefined for an object that was removed since it was listed. */
  async function exportOne(
    listed: ListedObject,
    known: ManifestLine | undefined,
    signal: AbortSignal,
  ): Promise<ManifestLine | undefined> {
    if (known && (await isThere(dir, listed, known))) {
      counts.kept += 1;
      return known;
    }
    const stored = await store.get(listed.key, { signal });
    if (!stored) {
      if (known?.file !== undefined) await removeFile(dir, tenant, known.file);
      return undefined;
    }
    const { revision, isDeleted } = stateOf(stored);
    const facts = { key: listed.key, revision, etag: unquote(stored.etag) };
    counts.fetched += 1;
    if (isDeleted) {
      stored.discard();
      if (known?.file !== undefined) await removeFile(dir, tenant, known.file);
      return { ...facts, deleted: true, bytes: 0 };
    }
    const file = fileOf(listed.key, tenant);
    const { sha256, kmsKeyArn } = await saveBody(stored, join(dir, file));
    return { ...facts, file, bytes: stored.bytes, sha256, ...(kmsKeyArn === undefined ? {} : { kmsKeyArn }) };
  }
}

/** Whether the object is unchanged and its file is intact: a power failure may have lost the file's content. */
async function isThere(dir: string, listed: ListedObject, known: ManifestLine): Promise<boolean> {
  if (known.etag !== unquote(listed.etag)) return false;
  if (known.deleted || known.file === undefined) return known.deleted === true;
  return known.bytes === listed.bytes && (await sha256Of(join(dir, known.file))) === known.sha256;
}

/** Removes only file names that an export writes: other programs may write to the manifest. */
async function removeFile(dir: string, tenant: string, file: string): Promise<void> {
  if (fileOf(file, tenant) === file || /^other\/[0-9a-f]{64}$/.test(file)) await rm(join(dir, file), { force: true });
}

async function* pagesOf(store: Store, prefix: string, signal?: AbortSignal): AsyncGenerator<ListedObject[]> {
  let after: string | undefined;
  do {
    const page = await store.list(prefix, { signal, ...(after === undefined ? {} : { after }) });
    yield page.objects;
    after = page.next;
  } while (after !== undefined);
}

async function countObjects(
  store: Store,
  folders: readonly Folder[],
  tenant: string,
  signal?: AbortSignal,
): Promise<number> {
  let count = 0;
  for (const folder of folders)
    for await (const page of pagesOf(store, prefixOf(folder, tenant), signal)) count += page.length;
  return count;
}
