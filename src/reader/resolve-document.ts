// First step of every read: checks the name, then resolves its tenant and the tenant's gate.
import { checkDocumentId } from '../documents/shapes.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { fieldsOf } from '../runtime/known-fields.ts';
import { checkName, objectName } from '../runtime/names.ts';
import type { Gates } from '../parking/gate.ts';
import type { DocumentPlace } from '../store/documents.ts';
import { stateOf } from '../store/revisions.ts';
import type { ObjectFacts, Store } from '../store/store.ts';
import type { Tenant, Tenants } from '../tenants/tenants.ts';

/** Name of a document. */
export interface DocumentName {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the corpus. */
  readonly corpus: string;
  /** Id of the document. */
  readonly id: string;
  /**
   * Revision that the producer returned. An older stored document is rejected (`OBJECT_MISMATCH`), for example after the bucket
   * was restored.
   */
  readonly minRevision?: number | undefined;
}

export interface ReaderDeps {
  readonly store: Store;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
  readonly gates: Pick<Gates, 'refusal' | 'refresh'>;
}

const FIELDS = ['tenant', 'corpus', 'id', 'minRevision'] as const;

/** @throws SealdexError `DOCUMENT_INVALID` with `field`, `TENANT_UNKNOWN`, the error that shut the gate */
export async function findPlace(
  { tenants, gates }: ReaderDeps,
  name: DocumentName,
): Promise<{ owner: Tenant; place: DocumentPlace; minRevision: number }> {
  const { tenant, corpus, id, minRevision = 0 } = fieldsOf(name, FIELDS);
  if (!Number.isSafeInteger(minRevision) || (minRevision as number) < 0)
    throw new SealdexError('DOCUMENT_INVALID', 'minRevision must be a revision returned by the producer.', {
      field: 'minRevision',
    });
  const inCorpus = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus') };
  const place = { ...inCorpus, object: objectName(checkDocumentId(id)) };
  const owner = await tenants.get(place.tenant);
  const refusal = gates.refusal(owner);
  if (refusal) throw refusal;
  return { owner, place, minRevision: minRevision as number };
}

/** @throws SealdexError `OBJECT_MISMATCH` if the stored document is older than `minRevision` */
export function rejectOlder(stored: ObjectFacts, minRevision: number): void {
  if (stateOf(stored).revision >= minRevision) return;
  const message =
    'The stored document is older than minRevision. Check whether its job has ended, and whether the bucket was restored to an older state.';
  throw new SealdexError('OBJECT_MISMATCH', message, { reason: 'older' });
}
