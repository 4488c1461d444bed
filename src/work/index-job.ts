// An index job: content out of intake, document into a record, record under the tenant's data key into S3.
// Every step may throw; what becomes of the job then is outcome.ts' business.
import { orAbort } from '../clock.ts';
import { parseDocumentJson } from '../documents/shapes.ts';
import { writeRecord } from '../documents/record.ts';
import { encryptMessage } from '../envelope/message.ts';
import { SealdexError } from '../errors.ts';
import { locateContent, openContent } from '../intake.ts';
import type { JobData } from '../jobs.ts';
import { headDocument, stateOf, writeDocument, type DocumentWrite } from '../store/documents.ts';
import type { Tenant } from '../tenants.ts';
import type { WorkDeps } from './deps.ts';
import type { Outcome } from './outcome.ts';

export type IndexJob = JobData & { readonly id: string };

type Phase = <T>(name: string, step: () => Promise<T>) => Promise<T>;

export async function runIndexJob(deps: WorkDeps, job: IndexJob, signal: AbortSignal): Promise<Outcome> {
  const phase: Phase = async (name, step) => {
    const begun = deps.clock.monotonic();
    try {
      return await step();
    } finally {
      deps.metrics.observe(
        'sealdex_job_phase_seconds',
        { kind: job.kind, phase: name },
        (deps.clock.monotonic() - begun) / 1000,
      );
    }
  };
  const tenant = await phase('tenant', () => deps.tenants.get(job.tenant, signal));
  const content = await phase('content', () => takeContent(deps, job, signal));
  if (!content) return outcomeWithoutContent(deps, job, signal);
  try {
    const write = await makeWrite(deps, job, tenant, content.read, phase, signal);
    const result = await phase('store', () => writeDocument(deps.store, deps.clock, write, signal));
    return result === 'superseded' ? { kind: 'done', superseded: true } : { kind: 'done' };
  } finally {
    content.giveBack();
  }
}

interface TakenContent {
  readonly read: () => Promise<Buffer>;
  readonly giveBack: () => void;
}

/** A document in work stands in memory as JSON, parsed, as a record and as a message, a record being the largest. */
const COPIES = 4;

/** Finds the content and takes its memory of the budget; undefined when it is gone. */
async function takeContent(
  { store, budget }: WorkDeps,
  job: IndexJob,
  signal: AbortSignal,
): Promise<TakenContent | undefined> {
  const first = await locateContent(store, job, signal);
  if (!first) return undefined;
  if (!budget.isFull(first.bytes * COPIES)) {
    return { read: first.read, giveBack: await budget.take(first.bytes * COPIES, signal) };
  }
  // An open answer must not wait for its turn: S3 would cut it off.
  first.discard();
  const giveBack = await budget.take(first.bytes * COPIES, signal);
  const again = await locateContent(store, job, signal).catch((error: unknown) => {
    giveBack();
    throw error;
  });
  if (again) return { read: again.read, giveBack };
  giveBack();
  return undefined;
}

/** Content is removed only after a completion: if it is gone and my revision is stored, Redis has forgotten that I was done. */
async function outcomeWithoutContent({ store }: WorkDeps, job: IndexJob, signal: AbortSignal): Promise<Outcome> {
  const stored = await headDocument(store, job, signal);
  const revision = stored ? stateOf(stored).revision : 0;
  if (revision < job.revision) throw new SealdexError('CONTENT_MISSING');
  return revision === job.revision ? { kind: 'done' } : { kind: 'done', superseded: true };
}

/** From content to what is written: each buffer is let go as soon as the next one stands. */
async function makeWrite(
  deps: WorkDeps,
  job: IndexJob,
  tenant: Tenant,
  read: () => Promise<Buffer>,
  phase: Phase,
  signal: AbortSignal,
): Promise<DocumentWrite> {
  const { ring, config, clock } = deps;
  const { ifExists, record } = await makeRecord();
  const key = await phase('key', () =>
    orAbort(ring.current(job.tenant, tenant.keyArn, 'documents', record.length), signal),
  );
  const message = await phase('encrypt', async () => encryptMessage(key, record));
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
      orAbort(openContent(ring, tenant, job, await read()), signal),
    );
    const document = await phase('parse', async () => parseDocumentJson(body, config));
    if (document.id !== header.documentId)
      throw new SealdexError('CONTENT_TAMPERED', undefined, { reason: 'other-document' });
    const { corpus, revision } = job;
    const record = await phase('record', () =>
      writeRecord({ tenant: job.tenant, corpus, revision, document, bytes: body.length }, config, { signal, clock }),
    );
    return { ifExists: header.ifExists, record };
  }
}
