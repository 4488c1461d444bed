// intake/<tenant>/<job id>/<16 hex>: encrypted content that is too big for the queue, until its job is done.
// Its metadata is what a lost queue is rebuilt from (contract, design section 8).
import type { Store, StoredObject } from './s3.ts';

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

const keyOf = ({ tenant, jobId, intake }: IntakePlace): string => `intake/${tenant}/${jobId}/${intake}`;

export async function putIntake(
  store: Store,
  place: IntakePlace,
  facts: IntakeFacts,
  message: Uint8Array,
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

export const removeIntake = (store: Store, place: IntakePlace): Promise<void> => store.remove(keyOf(place));
