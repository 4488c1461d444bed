// intake/<tenant>/<job id>/<16 hex>: encrypted content that is too large for the queue, until its job is done. A lost queue can
// be rebuilt from its metadata (contract).
import { INTAKE_ID, isJobId, NAME } from '../runtime/names.ts';
import type { Store, StoredObject } from './store.ts';
import type { StreamedBody } from './store.ts';

export interface IntakePlace {
  readonly tenant: string;
  readonly jobId: string;
  /** 16 random hex digits: two attempts to enqueue one job never share an object. */
  readonly intake: string;
}

export interface IntakeFacts {
  readonly corpus: string;
  readonly kind: string;
  readonly revision: number;
}

/** A place as one name: `<tenant>/<job id>/<16 hex>`. */
export const intakeName = ({ tenant, jobId, intake }: IntakePlace): string => `${tenant}/${jobId}/${intake}`;

const keyOf = (place: IntakePlace): string => `intake/${intakeName(place)}`;

export async function putIntake(
  store: Store,
  place: IntakePlace,
  facts: IntakeFacts,
  message: Uint8Array | StreamedBody,
  signal?: AbortSignal,
): Promise<void> {
  const metadata = {
    corpus: facts.corpus,
    kind: facts.kind,
    revision: String(facts.revision),
    'job-id': place.jobId,
    v: '1',
  };
  await store.put(keyOf(place), message, { metadata, signal });
}

export const getIntake = (store: Store, place: IntakePlace, signal?: AbortSignal): Promise<StoredObject | undefined> =>
  store.get(keyOf(place), { signal });

export async function removeIntake(store: Store, place: IntakePlace, signal?: AbortSignal): Promise<void> {
  await store.remove(keyOf(place), { signal });
}

export interface ListedIntake extends IntakePlace {
  /** Wall clock of S3, milliseconds. */
  readonly modifiedAt: number;
}

/** A page of all intake content, in the order of the names, without foreign objects. Pass `next` as `after`. */
export async function listIntake(
  store: Store,
  after?: string,
  signal?: AbortSignal,
): Promise<{ found: ListedIntake[]; next?: string }> {
  const page = await store.list('intake/', { signal, ...(after === undefined ? {} : { after }) });
  const found = page.objects.flatMap(({ key, modified }) => {
    const place = intakePlaceOf(key.slice('intake/'.length));
    return place ? [{ ...place, modifiedAt: modified.getTime() }] : [];
  });
  return { found, ...(page.next === undefined ? {} : { next: page.next }) };
}

/** Returns undefined for a foreign name. */
export function intakePlaceOf(name: string): IntakePlace | undefined {
  const [tenant = '', jobId = '', intake = '', ...more] = name.split('/');
  const isOurs = more.length === 0 && NAME.test(tenant) && isJobId(jobId) && INTAKE_ID.test(intake);
  return isOurs ? { tenant, jobId, intake } : undefined;
}
