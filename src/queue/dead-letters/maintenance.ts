// Maintenance of dead letters: repairs the index, and discards dead letters that are too old.
// One process of the fleet runs each task; it may be aborted between two pages, and restarts from the beginning.
import type { Clock } from '../../runtime/clock.ts';
import type { Config } from '../../runtime/config.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { QUEUE_NAMES } from '../../runtime/names.ts';
import { queueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { discardLetters, type Discarded, type DiscardDeps } from './discard.ts';
import { indexLetters, isTrue, leaveLetter, letterLists, listKey, listName } from './index.ts';
import { failedKey, jobKey, readLetters, type LetterPlace } from './letter.ts';
import { pagesOf } from './pages.ts';

export interface LetterTasksDeps extends Omit<DiscardDeps, 'places'> {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly config: Pick<Config, 'letterMaxMs'>;
  readonly metrics: Metrics;
}

export interface LetterTasks {
  /** Adds dead letters that are missing in the index, and removes stale entries. */
  readonly repairLetters: (signal: AbortSignal) => Promise<void>;
  /** Discards dead letters older than SEALDEX_LETTER_MAX_MS, with their content. */
  readonly discardOld: (signal: AbortSignal) => Promise<void>;
}

export function createLetterTasks({ config, metrics, redis, keys, ...rest }: LetterTasksDeps): LetterTasks {
  const places = QUEUE_NAMES.map((name) => ({ redis, keys: queueKeys(keys, name) }));
  return {
    async repairLetters(signal) {
      for (const place of places) await repairLetters(place, rest.clock, signal);
    },
    discardOld: (signal) => discardOld({ ...rest, places }, metrics, rest.clock.now() - config.letterMaxMs, signal),
  };
}

const PAGE = 200;
/** An index entry is written before its job is moved: one without a dead letter is stale only if it is older than any move. */
const STALE_MS = 300_000;

async function repairLetters(place: LetterPlace, clock: Clock, signal: AbortSignal): Promise<void> {
  await enterMissing(place, signal);
  await dropStale(place, clock, signal);
}

async function enterMissing(deps: LetterPlace, signal: AbortSignal): Promise<void> {
  for await (const spots of pagesOf(deps.redis, failedKey(deps), 'oldest', {}, PAGE, signal)) {
    const ids = spots.map(({ jobId }) => jobId);
    const letters = await readLetters(deps, ids);
    const known = letters.filter((letter) => letter !== undefined);
    const lists = [...Map.groupBy(known, listName).values()];
    await Promise.all([
      ...lists.map((those) => indexLetters(deps, those[0]!, those)),
      ...ids.filter((_, at) => letters[at] === undefined).map((id) => dropHollow(deps, id)),
    ]);
  }
}

async function dropStale(deps: LetterPlace, clock: Clock, signal: AbortSignal): Promise<void> {
  for await (const lists of letterLists(deps)) {
    for (const list of lists) {
      const before = clock.now() - STALE_MS;
      for await (const spots of pagesOf(deps.redis, listKey(deps, list), 'oldest', { before }, PAGE, signal)) {
        const letters = await readLetters(
          deps,
          spots.map(({ jobId }) => jobId),
        );
        const stale = spots.filter((_, at) => !isTrue(list, letters[at]));
        await Promise.all(stale.map((spot) => leaveLetter(deps, list, spot)));
      }
    }
  }
}

/** Removes an id from the failed set whose entry was deleted by another program: there is nothing to replay. */
const DROP = script({
  name: 'letter_drop_hollow',
  keys: ['failed', 'entry'],
  args: ['jobId'],
  lua: `if redis.call('EXISTS', entry) == 1 then return 0 end return redis.call('ZREM', failed, jobId)`,
});

async function dropHollow(place: LetterPlace, jobId: string): Promise<void> {
  await runScript(place.redis, DROP, { failed: failedKey(place), entry: jobKey(place, jobId), jobId });
}

async function discardOld(deps: DiscardDeps, metrics: Metrics, before: number, signal: AbortSignal): Promise<void> {
  let counted = 0;
  const onProgress = ({ discarded }: Discarded): void => {
    for (; counted < discarded; counted += 1) metrics.count('sealdex_dead_letters_expired_total', {});
  };
  await discardLetters(deps, { before }, { signal, onProgress });
}
