// Replay tracker: polls replayed jobs and counts their outcomes. Jobs beyond its limit are counted as not ended.
import type { Code } from '../../runtime/errors.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { codeOfFailure } from '../bull/failure-text.ts';
import { VALUES } from '../lua-values.ts';
import { failedKey, jobKey, type LetterPlace } from './letter.ts';

export interface ReplayOutcomes {
  /** Number of jobs that were done. */
  readonly stored: number;
  /** Number of jobs whose document has a newer revision. */
  readonly superseded: number;
  /** Number of jobs that are dead letters again, by code. */
  readonly deadAgain: ReadonlyMap<Code, number>;
  /** Number of jobs without a status: discarded concurrently, or finished too long ago. */
  readonly unknown: number;
  /** Number of jobs that have not ended. */
  readonly underWay: number;
}

export interface ReplayTracker {
  add(place: LetterPlace, jobIds: readonly string[]): void;
  /** Reads some of the jobs. Returns how many have ended since the last poll. */
  poll(): Promise<number>;
  readonly outcomes: ReplayOutcomes;
  /** Number of tracked jobs that have not ended. */
  readonly watched: number;
  isWatched(jobId: string): boolean;
}

const MAX_WATCHED = 10_000;
const JOBS_PER_POLL = 200;

/** Returns { 'dead', failure text }, { 'going', '' } or { 'ended', status note }. */
const WHERE = script({
  name: 'letter_end',
  keys: ['failed', 'entry', 'note'],
  args: ['jobId'],
  lua: `${VALUES}
    if redis.call('ZSCORE', failed, jobId) then return { 'dead', field_of(entry, 'failedReason') or '' } end
    if redis.call('EXISTS', entry) == 1 then return { 'going', '' } end
    return { 'ended', redis.call('GET', note) or '' }`,
});

export function createReplayTracker(): ReplayTracker {
  let watched = new Map<string, LetterPlace>();
  const counts = { stored: 0, superseded: 0, deadAgain: new Map<Code, number>(), unknown: 0, untracked: 0 };

  const count = ([where, text]: readonly string[]): void => {
    const state = (text ?? '').split(' ')[0];
    if (where === 'dead') {
      const code = codeOfFailure(text);
      counts.deadAgain.set(code, (counts.deadAgain.get(code) ?? 0) + 1);
    } else if (state === 'done') counts.stored += 1;
    else if (state === 'superseded') counts.superseded += 1;
    else counts.unknown += 1;
  };

  return {
    add(place, jobIds) {
      for (const jobId of jobIds)
        if (watched.size < MAX_WATCHED) watched.set(jobId, place);
        else counts.untracked += 1;
    },
    async poll() {
      const batch = [...watched].slice(0, JOBS_PER_POLL);
      const states = (await Promise.all(
        batch.map(([jobId, place]) =>
          runScript(place.redis, WHERE, {
            failed: failedKey(place),
            entry: jobKey(place, jobId),
            note: place.keys.note(jobId),
            jobId,
          }),
        ),
      )) as string[][];
      const going = batch.filter((_, at) => states[at]?.[0] === 'going');
      for (const [id] of batch) watched.delete(id);
      // Moved to the end, so that waiting jobs do not delay the reading of the rest.
      watched = new Map([...watched, ...going]);
      for (const state of states) if (state[0] !== 'going') count(state);
      return batch.length - going.length;
    },
    get outcomes() {
      const { untracked, ...known } = counts;
      return { ...known, underWay: watched.size + untracked };
    },
    get watched() {
      return watched.size;
    },
    isWatched: (jobId) => watched.has(jobId),
  };
}
