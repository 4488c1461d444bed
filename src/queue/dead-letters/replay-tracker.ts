// Watches jobs that were sent again, and counts how they end. Bounded: those that it has no room for count as under way.
// Only looks.
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
  /** Looks at some of them. Answers how many have ended since the last look. */
  look(): Promise<number>;
  readonly ends: ReplayOutcomes;
  /** Those that can still be seen to end. */
  readonly watched: number;
  isWatched(jobId: string): boolean;
}

const MOST_WATCHED = 10_000;
const LOOKED_AT = 200;

/** Answers { 'dead', why }, { 'going' } or { 'ended', note }. */
const WHERE = script({
  name: 'letter_end',
  keys: ['failed', 'entry', 'note'],
  args: ['jobId'],
  lua: `${VALUES}
    if redis.call('ZSCORE', failed, jobId) then return { 'dead', field_of(entry, 'failedReason') or '' } end
    if redis.call('EXISTS', entry) == 1 then return { 'going', '' } end
    return { 'ended', redis.call('GET', note) or '' }`,
});

export function createEndsWatch(): ReplayTracker {
  let watched = new Map<string, LetterPlace>();
  const ends = { stored: 0, superseded: 0, deadAgain: new Map<Code, number>(), unknown: 0, beyond: 0 };

  const count = ([where, text]: readonly string[]): void => {
    const state = (text ?? '').split(' ')[0];
    if (where === 'dead') {
      const code = codeOfFailure(text);
      ends.deadAgain.set(code, (ends.deadAgain.get(code) ?? 0) + 1);
    } else if (state === 'done') ends.stored += 1;
    else if (state === 'superseded') ends.superseded += 1;
    else ends.unknown += 1;
  };

  return {
    add(place, jobIds) {
      for (const jobId of jobIds)
        if (watched.size < MOST_WATCHED) watched.set(jobId, place);
        else ends.beyond += 1;
    },
    async look() {
      const looked = [...watched].slice(0, LOOKED_AT);
      const answers = (await Promise.all(
        looked.map(([jobId, place]) =>
          runScript(place.redis, WHERE, {
            failed: failedKey(place),
            entry: jobKey(place, jobId),
            note: place.keys.note(jobId),
            jobId,
          }),
        ),
      )) as string[][];
      const going = looked.filter((_, at) => answers[at]?.[0] === 'going');
      for (const [id] of looked) watched.delete(id);
      // Behind the others, so that a few that wait do not hide the rest.
      watched = new Map([...watched, ...going]);
      for (const answer of answers) if (answer[0] !== 'going') count(answer);
      return looked.length - going.length;
    },
    get ends() {
      const { beyond, ...known } = ends;
      return { ...known, underWay: watched.size + beyond };
    },
    get watched() {
      return watched.size;
    },
    isWatched: (jobId) => watched.has(jobId),
  };
}
