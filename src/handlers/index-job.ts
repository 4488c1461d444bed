// Index job: opens the intake content, makes the document's record, encrypts it under the tenant's data key, and stores it.
import { orAbort } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { parseDocumentJson } from '../documents/shapes.ts';
import { writeRecord } from '../documents/record.ts';
import { encryptMessage } from '../envelope/message.ts';
import { SealdexError } from '../runtime/errors.ts';
import { openContent } from '../intake/intake.ts';
import type { IndexJobData } from '../jobs/jobs.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { writeDocument, type DocumentWrite } from '../store/documents.ts';
import { removeOriginal } from '../store/originals.ts';
import type { Written } from '../store/revisions.ts';
import type { Tenant } from '../tenants/tenants.ts';
import { runIfAdmitted, type KeyAdmissionDeps } from './admission.ts';
import { withContent, type ContentDeps, type TakenContent } from './content.ts';
import type { Outcome } from '../jobs/outcome.ts';
import type { Phase } from './phases.ts';

export interface IndexJobDeps extends KeyAdmissionDeps, ContentDeps {
  readonly config: Config;
  readonly ring: KeyRing;
}

export type IndexJob = IndexJobData & { readonly id: string };

/** In memory a document is JSON, a parsed object, a record and a message. */
const COPIES = 4;

export const runIndexJob = (deps: IndexJobDeps, job: IndexJob, signal: AbortSignal): Promise<Outcome> =>
  runIfAdmitted(deps, job, signal, (tenant, phase, ending) =>
    withContent(deps, job, COPIES, phase, ending, async (content) => {
      const write = await makeWrite(deps, job, tenant, content, phase, ending);
      const written = await phase('store', () => writeAlone(deps, write, ending));
      return written === 'superseded' ? { kind: 'done', superseded: true } : { kind: 'done' };
    }),
  );

/** Writes the document, and removes the original file of the one that it replaces. */
async function writeAlone({ store, clock }: IndexJobDeps, write: DocumentWrite, signal: AbortSignal): Promise<Written> {
  const written = await writeDocument(store, clock, write, signal);
  if (written === 'replaced') await removeOriginal(store, write, write.revision, signal);
  return written;
}

/** Makes the write from the content; each buffer becomes garbage once the next one is made. */
async function makeWrite(
  deps: IndexJobDeps,
  job: IndexJob,
  tenant: Tenant,
  { read, makeRoom }: TakenContent,
  phase: Phase,
  signal: AbortSignal,
): Promise<DocumentWrite> {
  const { ring, config, clock } = deps;
  const { ifExists, record } = await makeRecord();
  const encrypted = ring.encrypt(tenant, 'documents', record.length, (key) => encryptMessage(key, record));
  const message = await phase('encrypt', () => orAbort(encrypted, signal));
  return {
    tenant: job.tenant,
    corpus: job.corpus,
    object: job.object,
    revision: job.revision,
    jobId: job.id,
    ifExists,
    message,
  };

  async function makeRecord(): Promise<{ ifExists: 'replace' | 'reject'; record: Buffer }> {
    const { header, body } = await phase('open', async () =>
      orAbort(openContent(ring, { ...tenant, intakeArns: platformArns(config) }, job, await read()), signal),
    );
    const document = await phase('parse', async () => parseDocumentJson(body, config));
    if (document.id !== header.documentId)
      throw new SealdexError('CONTENT_TAMPERED', undefined, { reason: 'other-document' });
    const { corpus, revision } = job;
    const record = await phase('record', () =>
      writeRecord({ tenant: job.tenant, corpus, revision, document, bytes: body.length }, config, {
        signal,
        clock,
        makeRoom,
      }),
    );
    return { ifExists: header.ifExists, record };
  }
}
