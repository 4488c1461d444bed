// Writes an object of a document by revision: the highest one wins, regardless of concurrent writes.
import { sleep, type Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Condition, ObjectFacts, PutAnswer, Store } from './store.ts';

/** The writing job and the facts to compare with the stored object. */
export interface Claim {
  readonly revision: number;
  readonly jobId: string;
  readonly ifExists: 'replace' | 'reject';
}

const ROUNDS = 10;
const ROUND_MS = 50;

/** Reads the object metadata (contract). A foreign object without it counts as revision 0. */
export function stateOf({ metadata }: ObjectFacts): { revision: number; jobId: string; isDeleted: boolean } {
  const text = metadata['revision'] ?? '';
  const revision = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  return {
    revision: Number.isSafeInteger(revision) ? revision : 0,
    jobId: metadata['job-id'] ?? '',
    isDeleted: metadata['deleted'] === '1',
  };
}

/** `replaced`: an object was replaced, or may have been, for example if the response to an earlier try was lost. */
export type Written = 'stored' | 'replaced' | 'superseded';

export const metadataOf = ({ revision, jobId }: Pick<Claim, 'revision' | 'jobId'>): Record<string, string> => ({
  revision: String(revision),
  'job-id': jobId,
  v: '1',
});

/**
 * Writes unless a higher revision is stored.
 * @throws SealdexError `DOCUMENT_CONFLICT`, `STORE_FAILED` with reason `Contention` or `RevisionAhead`
 */
export async function writeByRevision(
  store: Store,
  clock: Clock,
  key: string,
  claim: Claim,
  body: Uint8Array,
  metadata: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<Written> {
  const put = (condition: Condition): Promise<PutAnswer> => store.put(key, body, { metadata, condition, signal });
  let isExpected = false;
  let hasFound = false;
  for (let round = 0; round < ROUNDS; round++) {
    if (round > 0) await sleep(clock, Math.random() * ROUND_MS * round, signal);
    if (!isExpected && (await put({ absent: true })).kind === 'written') return hasFound ? 'replaced' : 'stored';
    const stored = await store.head(key, { signal });
    isExpected = stored !== undefined;
    hasFound ||= isExpected;
    if (!stored) continue;
    const comparison = compare(claim, stored, clock.now());
    if (comparison !== 'replace') return comparison;
    const second = await put({ etag: stored.etag });
    if (second.kind === 'written') return 'replaced';
    // Changed meanwhile: read it again. Removed meanwhile: start again.
    isExpected = second.kind !== 'missing';
  }
  throw new SealdexError('STORE_FAILED', undefined, { reason: 'Contention' });
}

/** Revisions come from a clock. One this far ahead is invalid, and would silently supersede all later documents. */
const MAX_AHEAD_MS = 600_000;

function compare(claim: Claim, facts: ObjectFacts, now: number): 'replaced' | 'superseded' | 'replace' {
  const stored = stateOf(facts);
  if (claim.ifExists === 'reject' && !stored.isDeleted && stored.jobId !== claim.jobId)
    throw new SealdexError('DOCUMENT_CONFLICT');
  // An equal revision is this write, whose response was lost.
  if (stored.revision === claim.revision) return 'replaced';
  if (stored.revision / 1000 > now + MAX_AHEAD_MS)
    throw new SealdexError('STORE_FAILED', undefined, { reason: 'RevisionAhead' });
  return stored.revision > claim.revision ? 'superseded' : 'replace';
}
