// Upload job: opens the uploaded file, extracts its record in a child process, encrypts it, and stores it.
// If the tenant keeps originals, the file is encrypted and stored too.
import { orAbort } from '../runtime/clock.ts';
import { platformArns, type Config } from '../runtime/config.ts';
import { checkFileFacts } from '../documents/file.ts';
import { originalBytes } from '../documents/original.ts';
import { beginMessage } from '../envelope/message.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { ExtractPool } from '../extract/pool.ts';
import type { FileRecord } from '../extract/file-record.ts';
import { openContent, type ContentHeader } from '../intake/intake.ts';
import type { UploadJobData } from '../jobs/jobs.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { headDocument, writeDocument, type DocumentWrite } from '../store/documents.ts';
import { removeOriginal, removeOwnOriginal, writeOriginal } from '../store/originals.ts';
import { stateOf, type Written } from '../store/revisions.ts';
import type { Tenant } from '../tenants/tenants.ts';
import { runIfAdmitted, type KeyAdmissionDeps } from './admission.ts';
import { withContent, type ContentDeps, type TakenContent } from './content.ts';
import type { Outcome } from '../jobs/outcome.ts';
import type { Phase } from './phases.ts';
import { wholeMessage } from './whole-message.ts';

export interface UploadJobDeps extends KeyAdmissionDeps, ContentDeps {
  readonly config: Config;
  readonly ring: KeyRing;
  readonly extractors: Pick<ExtractPool, 'extract'>;
}

export type UploadJob = UploadJobData & { readonly id: string };

/** In memory a file is a message, its plaintext, and a copy on its way to the child process. */
const COPIES = 3;
/** A kept file is also the original's plaintext and its message. */
const COPIES_KEPT = 5;

export const runUploadJob = (deps: UploadJobDeps, job: UploadJob, signal: AbortSignal): Promise<Outcome> =>
  runIfAdmitted(deps, job, signal, (tenant, phase, ending) =>
    withContent(deps, job, tenant.keepOriginals ? COPIES_KEPT : COPIES, phase, ending, async (content) => {
      const read = await readFile(deps, job, tenant, content, phase, ending);
      const isStored = await store(deps, job, tenant, read, phase, ending);
      return isStored ? { kind: 'done' } : { kind: 'done', superseded: true };
    }),
  );

interface ReadFile {
  readonly ifExists: 'replace' | 'reject';
  readonly record: Buffer;
  /** Plaintext of the original to keep. */
  readonly original: Buffer | undefined;
}

const originalOf = (
  { tenant, corpus, revision }: UploadJob,
  { documentId: id, filename = id }: ContentHeader,
  { contentType }: FileRecord,
  body: Buffer,
): Buffer => originalBytes({ v: 1, tenant, corpus, id, revision, filename, contentType, bytes: body.length }, body);

async function readFile(
  { ring, config, extractors }: UploadJobDeps,
  job: UploadJob,
  tenant: Tenant,
  { read, makeRoom }: TakenContent,
  phase: Phase,
  signal: AbortSignal,
): Promise<ReadFile> {
  const { header, body } = await phase('open', async () =>
    orAbort(openContent(ring, { ...tenant, intakeArns: platformArns(config) }, job, await read()), signal),
  );
  const { filename = header.documentId, contentType, documentId: id } = header;
  const { tenant: name, corpus, revision } = job;
  const place = { tenant: name, corpus, id, revision, ...checkFileFacts(header, config) };
  const record = await phase('extract', () =>
    extractors.extract({ bytes: body, filename, contentType }, place, signal),
  );
  const original = tenant.keepOriginals ? originalOf(job, header, record, body) : undefined;
  await makeRoom(record.bytes.length + (original?.length ?? 0));
  return { ifExists: header.ifExists, record: record.bytes, original };
}

/** Returns whether the document is stored; false if a newer one is. */
async function store(
  { store: objects, clock, ring }: UploadJobDeps,
  job: UploadJob,
  tenant: Tenant,
  { ifExists, record, original }: ReadFile,
  phase: Phase,
  signal: AbortSignal,
): Promise<boolean> {
  const encrypted = (plaintext: Buffer): Promise<Buffer> =>
    phase('encrypt', async () => {
      const begun = ring.encrypt(tenant, 'documents', plaintext.length, (key) => beginMessage(key));
      return wholeMessage(await orAbort(begun, signal), plaintext, clock, signal);
    });
  const { corpus, object, revision, id: jobId } = job;
  const place = { tenant: job.tenant, corpus, object, revision, jobId };
  const message = await encrypted(record);
  const written = await phase('store', () => write({ ...place, ifExists, message }));
  // After the document: a rejected write must not change the original of the stored document.
  if (original && written !== 'superseded') {
    const kept = await encrypted(original);
    await phase('store', () => writeOriginal(objects, clock, { ...place, message: kept }, signal));
  }
  // A newer job for the document may have removed originals before this one was written.
  const current = original ? await headDocument(objects, place, signal) : undefined;
  const isNewest = written !== 'superseded' && (!current || stateOf(current).revision <= revision);
  if (!isNewest || (!original && written === 'replaced')) await removeOriginal(objects, place, revision, signal);
  return written !== 'superseded';

  async function write(document: DocumentWrite): Promise<Written> {
    try {
      return await writeDocument(objects, clock, document, signal);
    } catch (error) {
      // An earlier attempt of this job may have stored both, before another job replaced the document.
      const isConflict = error instanceof SealdexError && error.code === 'DOCUMENT_CONFLICT';
      if (isConflict) await removeOwnOriginal(objects, place, revision, signal);
      throw error;
    }
  }
}
