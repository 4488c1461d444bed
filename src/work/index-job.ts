// An index job: content out of intake, document into a record, record under the tenant's data key into S3.
// Every step may throw; what becomes of the job then is outcome.ts' business.
import { orAbort } from '../clock.ts';
import { platformArns } from '../config.ts';
import { parseDocumentJson } from '../documents/shapes.ts';
import { writeRecord } from '../documents/record.ts';
import { encryptMessage } from '../envelope/message.ts';
import { SealdexError } from '../errors.ts';
import { type LocatedContent, locateContent, openContent } from '../intake.ts';
import type { IndexJobData } from '../jobs.ts';
import { headDocument, stateOf, writeDocument, type DocumentWrite } from '../store/documents.ts';
import type { Tenant } from '../tenants.ts';
import type { WorkDeps } from './deps.ts';
import { waitsForOthers, type Outcome } from './outcome.ts';
import { phasesOf, type Phase } from './phases.ts';

export type IndexJob = IndexJobData & { readonly id: string };

export async function runIndexJob(deps: WorkDeps, job: IndexJob, signal: AbortSignal): Promise<Outcome> {
  const tenant = await phasesOf(deps, job)('tenant', () => deps.tenants.get(job.tenant, signal));
  // Before anything is fetched: a job that is parked costs no call to KMS or S3.
  const refusal = deps.gates.refusal(tenant);
  if (refusal) throw refusal;
  if (deps.slots.isCrowded(job.tenant)) return waitsForOthers();
  const yielding = new AbortController();
  const yields = (): void => yielding.abort(new Error('other jobs of the tenant wait already'));
  try {
    return await run(deps, job, tenant, AbortSignal.any([signal, yielding.signal]), phasesOf(deps, job, yields));
  } catch (error) {
    if (yielding.signal.aborted && !signal.aborted) return waitsForOthers();
    throw error;
  }
}

async function run(deps: WorkDeps, job: IndexJob, tenant: Tenant, signal: AbortSignal, phase: Phase): Promise<Outcome> {
  // Once more from the start when the record needs more room than there is: what waits for its turn holds nothing.
  for (let needed = 0; ;) {
    const content = await phase('content', () => takeContent(deps, job, needed, signal));
    if (!content) return outcomeWithoutContent(deps, job, signal);
    try {
      const write = await makeWrite(deps, job, tenant, content, phase, signal);
      const result = await phase('store', () => writeDocument(deps.store, deps.clock, write, signal));
      return result === 'superseded' ? { kind: 'done', superseded: true } : { kind: 'done' };
    } catch (error) {
      if (!(error instanceof Outgrown)) throw error;
      needed = error.needed;
    } finally {
      content.giveBack();
    }
  }
}

/** The record needs more of the budget than was taken, and the budget is full. Never leaves this file. */
class Outgrown extends Error {
  readonly needed: number;

  constructor(needed: number) {
    super('The record needs more room than there is.');
    this.needed = needed;
  }
}

interface TakenContent {
  readonly read: () => Promise<Buffer>;
  /**
   * Takes more of the budget when the record turns out larger than was thought.
   * @throws Outgrown when it would have to wait for that
   */
  readonly makeRoom: (recordBytes: number) => Promise<void>;
  readonly giveBack: () => void;
}

/** A document in work stands in memory as JSON, parsed, as a record and as a message. */
const COPIES = 4;

/** A record stands there as its lines or its message beside itself; parts that repeat much make it larger than all of those. */
const RECORD_COPIES = 2;

/** Finds the content and takes its memory of the budget, `atLeast` bytes; undefined when it is gone. */
async function takeContent(
  { store, budget }: WorkDeps,
  job: IndexJob,
  atLeast: number,
  signal: AbortSignal,
): Promise<TakenContent | undefined> {
  const first = await locateContent(store, job, signal);
  if (!first) return undefined;
  const bytes = Math.max(first.bytes * COPIES, atLeast);
  const hold = ({ read }: LocatedContent, giveBack: () => void): TakenContent =>
    takenContent(budget, read, bytes, giveBack, signal);
  if (!budget.isFull(bytes)) return hold(first, await budget.take(bytes, signal));
  // An open answer must not wait for its turn: S3 would cut it off.
  first.discard();
  const giveBack = await budget.take(bytes, signal);
  const again = await locateContent(store, job, signal).catch((error: unknown) => {
    giveBack();
    throw error;
  });
  if (again) return hold(again, giveBack);
  giveBack();
  return undefined;
}

function takenContent(
  budget: WorkDeps['budget'],
  read: () => Promise<Buffer>,
  taken: number,
  giveBack: () => void,
  signal: AbortSignal,
): TakenContent {
  let giveBackAll = giveBack;
  const makeRoom = async (recordBytes: number): Promise<void> => {
    const needed = recordBytes * RECORD_COPIES;
    if (needed <= taken) return;
    giveBackAll();
    if (budget.isFull(needed)) throw new Outgrown(needed);
    giveBackAll = await budget.take(needed, signal);
  };
  return { read, makeRoom, giveBack: () => giveBackAll() };
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
  { read, makeRoom }: TakenContent,
  phase: Phase,
  signal: AbortSignal,
): Promise<DocumentWrite> {
  const { ring, config, clock } = deps;
  const { ifExists, record } = await makeRecord();
  const encrypted = ring.encrypt(job.tenant, tenant.keyArn, 'documents', record.length, (key) =>
    encryptMessage(key, record),
  );
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
