// Content of a job in memory: located, counted against the byte budget, read, and given back.
// A record that outgrows the bytes taken waits again, for its real size.
import { SealdexError } from '../runtime/errors.ts';
import { locateContent, type JobContent, type LocatedContent } from '../intake/intake.ts';
import { intakePlace, type ContentJob } from '../jobs/jobs.ts';
import type { Config } from '../runtime/config.ts';
import { headDocument } from '../store/documents.ts';
import { stateOf } from '../store/revisions.ts';
import type { Store } from '../store/store.ts';
import type { ByteBudget } from './budget.ts';
import type { Outcome } from '../jobs/outcome.ts';
import type { Phase } from './phases.ts';

export interface ContentDeps {
  readonly config: Pick<Config, 'queue'>;
  readonly store: Store;
  readonly budget: ByteBudget;
}

/**
 * Runs `use` with the content, and again from the start if its record needs more of the budget than is free.
 * Reading a file twice costs time, but holding its record during the wait would exceed the budget.
 */
export async function withContent(
  deps: ContentDeps,
  job: ContentJob,
  copies: number,
  phase: Phase,
  signal: AbortSignal,
  use: (content: TakenContent) => Promise<Outcome>,
): Promise<Outcome> {
  // A job that waits for the budget holds none of it.
  for (let needed = 0; ;) {
    const content = await phase('content', () => takeContent(deps, job, copies, needed, signal));
    if (!content) return outcomeWithoutContent(deps, job, signal);
    try {
      return await use(content);
    } catch (error) {
      if (!(error instanceof Outgrown)) throw error;
      needed = error.needed;
    } finally {
      content.giveBack();
    }
  }
}

/** The record needs more of the budget than was taken, and the budget is full. Caught in `withContent`. */
class Outgrown extends Error {
  readonly needed: number;

  constructor(needed: number) {
    super('The record needs more room than there is.');
    this.needed = needed;
  }
}

export interface TakenContent {
  readonly read: () => Promise<Buffer>;
  /**
   * Takes more of the budget if the record is larger than expected.
   * @throws Outgrown if it would have to wait
   */
  readonly makeRoom: (recordBytes: number) => Promise<void>;
  readonly giveBack: () => void;
}

/** A record is in memory together with its lines or its message. Repetitive parts can make it larger than its source. */
const RECORD_COPIES = 2;

/** Locates the content and takes at least `atLeast` bytes of the budget. Returns undefined if the content is gone. */
async function takeContent(
  { config, store, budget }: ContentDeps,
  job: ContentJob,
  copies: number,
  atLeast: number,
  signal: AbortSignal,
): Promise<TakenContent | undefined> {
  const content = contentOf(config.queue, job);
  const first = await locateContent(store, content, signal);
  if (!first) return undefined;
  const bytes = Math.max(first.bytes * copies, atLeast);
  const hold = ({ read }: LocatedContent, giveBack: () => void): TakenContent =>
    takenContent(budget, read, bytes, giveBack, signal);
  if (!budget.isFull(bytes)) return hold(first, await budget.take(bytes, signal));
  // An open response must not wait for the budget: S3 would cut it off.
  first.discard();
  const giveBack = await budget.take(bytes, signal);
  const again = await locateContent(store, content, signal).catch((error: unknown) => {
    giveBack();
    throw error;
  });
  if (again) return hold(again, giveBack);
  giveBack();
  return undefined;
}

function contentOf(queue: string, job: ContentJob): JobContent {
  return 'inline' in job.content ? job.content : { place: intakePlace(queue, job.id, job, job.content) };
}

function takenContent(
  budget: ByteBudget,
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

/** Content is removed only after a completion. If it is gone and the job's revision is stored, Redis lost the completion. */
async function outcomeWithoutContent({ store }: ContentDeps, job: ContentJob, signal: AbortSignal): Promise<Outcome> {
  const stored = await headDocument(store, job, signal);
  const revision = stored ? stateOf(stored).revision : 0;
  if (revision < job.revision) throw new SealdexError('CONTENT_MISSING');
  return revision === job.revision ? { kind: 'done' } : { kind: 'done', superseded: true };
}
