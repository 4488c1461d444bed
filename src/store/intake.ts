// intake/<name>: encrypted content that is too large for the queue, until its job is done. runtime/intake-key.ts has the names.
import {
  intakeName,
  intakePlaceOf,
  oldIntakeName,
  type IntakePlace,
  type OldIntakePlace,
} from '../runtime/intake-key.ts';
import { isDenial, type Store, type StoredObject, type StreamedBody } from './store.ts';

const FOLDER = 'intake/';
const keyOf = (place: IntakePlace): string => FOLDER + intakeName(place);
const oldKeyOf = (place: OldIntakePlace): string => FOLDER + oldIntakeName(place);

export async function putIntake(
  store: Store,
  place: IntakePlace,
  message: Uint8Array | StreamedBody,
  signal?: AbortSignal,
): Promise<void> {
  const { corpus, kind, revision, jobId } = place;
  const metadata = { corpus, kind, revision: String(revision), 'job-id': jobId, v: '1' };
  await store.put(keyOf(place), message, { metadata, signal });
}

/** Content that a process found under its old key, so that its removal needs no second request for other content. */
const foundUnderOldKey = new WeakMap<Store, Set<string>>();
const MAX_FOUND = 10_000;

/** Returns undefined if there is no such content, neither under its key nor under its old key. */
export async function getIntake(
  store: Store,
  place: IntakePlace,
  signal?: AbortSignal,
): Promise<StoredObject | undefined> {
  let denial: unknown;
  const stored = await store.get(keyOf(place), { signal }).catch((error: unknown) => {
    // Without list permission, S3 also denies access to missing objects.
    if (!isDenial(error)) throw error;
    denial = error;
    return undefined;
  });
  if (stored) return stored;
  const old = await store.get(oldKeyOf(place), { signal });
  if (!old && denial) throw denial;
  if (!old) return undefined;
  const found = foundUnderOldKey.get(store) ?? new Set();
  foundUnderOldKey.set(store, found);
  if (found.size < MAX_FOUND) found.add(oldIntakeName(place));
  return old;
}

/** Removes content after its job, also under its old key if this process found it there. */
export async function removeIntake(store: Store, place: IntakePlace, signal?: AbortSignal): Promise<void> {
  await store.remove(keyOf(place), { signal });
  if (foundUnderOldKey.get(store)?.delete(oldIntakeName(place))) await store.remove(oldKeyOf(place), { signal });
}

/** Removes content that another process may have found under its old key. */
export async function removeIntakeOfAnyForm(store: Store, place: IntakePlace, signal?: AbortSignal): Promise<void> {
  await store.remove(keyOf(place), { signal });
  await store.remove(oldKeyOf(place), { signal });
}

/** Removes content by the name in a listing. */
export async function removeListedIntake(store: Store, name: string, signal?: AbortSignal): Promise<void> {
  await store.remove(FOLDER + name, { signal });
}

export interface ListedIntake {
  /** `intakeName` or `oldIntakeName` of the place. */
  readonly name: string;
  readonly place: IntakePlace | OldIntakePlace;
  readonly bytes: number;
  /** Wall clock of S3, milliseconds. */
  readonly modifiedAt: number;
}

/** A page of intake content, in the order of the names, without foreign objects. Pass `next` as `after`. */
export async function listIntake(
  store: Store,
  {
    tenant,
    after,
    signal,
  }: { tenant?: string | undefined; after?: string | undefined; signal?: AbortSignal | undefined },
): Promise<{ found: ListedIntake[]; next?: string }> {
  const folder = tenant === undefined ? FOLDER : `${FOLDER}${tenant}/`;
  const page = await store.list(folder, { signal, ...(after === undefined ? {} : { after }) });
  const found = page.objects.flatMap(({ key, bytes, modified }) => {
    const name = key.slice(FOLDER.length);
    const place = intakePlaceOf(name);
    return place ? [{ name, place, bytes, modifiedAt: modified.getTime() }] : [];
  });
  return { found, ...(page.next === undefined ? {} : { next: page.next }) };
}
