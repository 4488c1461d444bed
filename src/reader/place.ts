// What every question of a reader begins with: a name that is checked, its tenant, and the tenant's gate.
// Nothing of what is read then.
import { checkDocumentId } from '../documents/shapes.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { checkName, objectName } from '../names.ts';
import type { Gates } from '../parking/gate.ts';
import type { DocumentPlace } from '../store/documents.ts';
import type { Store } from '../store/s3.ts';
import type { Tenant, Tenants } from '../tenants.ts';

export interface DocumentName {
  readonly tenant: string;
  readonly corpus: string;
  readonly id: string;
}

export interface ReaderDeps {
  readonly store: Store;
  readonly ring: KeyRing;
  readonly tenants: Tenants;
  readonly gates: Pick<Gates, 'refusal'>;
}

/** @throws SealdexError `DOCUMENT_INVALID` with `field`, `TENANT_UNKNOWN`, the gate's refusal */
export async function findPlace(
  { tenants, gates }: ReaderDeps,
  name: DocumentName,
): Promise<{ owner: Tenant; place: DocumentPlace }> {
  const { tenant, corpus, id } = fieldsOf(name);
  const inCorpus = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus') };
  const place = { ...inCorpus, object: objectName(checkDocumentId(id)) };
  const owner = await tenants.get(place.tenant);
  const refusal = gates.refusal(owner);
  if (refusal) throw refusal;
  return { owner, place };
}

/** What is no object at all has none of the fields: then the first of them is named as missing. */
export const fieldsOf = (input: unknown): Readonly<Record<string, unknown>> =>
  typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {};
