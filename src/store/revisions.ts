// Writing an object that belongs to a document: the last writer by revision wins, whatever crosses whatever on the way.
// Knows a key, a body and a revision; what the object is, documents.ts and originals.ts say.
import { sleep, type Clock } from '../runtime/clock.ts';
import { SealdexError } from '../runtime/errors.ts';
import type { Condition, ObjectFacts, PutAnswer, Store } from './store.ts';

/** The job that writes, and what is compared with the stored object. */
export interface Claim {
  readonly revision: number;
  readonly jobId: string;
  readonly ifExists: 'replace' | 'reject';
}

const ROUNDS = 10;
const ROUND_MS = 50;

/** What the object metadata says (contract). An object without it is not ours and counts as revision 0. */
export function stateOf({ metadata }: ObjectFacts): { revision: number; jobId: string; isDeleted: boolean } {
  const text = metadata['revision'] ?? '';
  const revision = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  return {
    revision: Number.isSafeInteger(revision) ? revision : 0,
    jobId: metadata['job-id'] ?? '',
    isDeleted: metadata['deleted'] === '1',
  };
}

/** `replaced`: something was in its place, or may have been, as when the answer to an earlier try was lost. */
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
    const verdict = compare(claim, stored, clock.now());
    if (verdict !== 'replace') return verdict;
    const second = await put({ etag: stored.etag });
    if (second.kind === 'written') return 'replaced';
    // Changed meanwhile: look again. Gone meanwhile: as at first.
    isExpected = second.kind !== 'missing';
  }
  throw new SealdexError('STORE_FAILED', undefined, { reason: 'Contention' });
}

/** Revisions come from a clock: one this far ahead is nobody's, and would swallow every later document in silence. */
const AHEAD_MS = 600_000;

function compare(claim: Claim, facts: ObjectFacts, now: number): 'replaced' | 'superseded' | 'replace' {
  const stored = stateOf(facts);
  if (claim.ifExists === 'reject' && !stored.isDeleted && stored.jobId !== claim.jobId)
    throw new SealdexError('DOCUMENT_CONFLICT');
  // An equal revision is this very write, whose answer was lost.
  if (stored.revision === claim.revision) return 'replaced';
  if (stored.revision / 1000 > now + AHEAD_MS)
    throw new SealdexError('STORE_FAILED', undefined, { reason: 'RevisionAhead' });
  return stored.revision > claim.revision ? 'superseded' : 'replace';
}
