// Dead letter: reads it from BullMQ's failed set, which is authoritative, and from the job's entry.
// Of the job's data only the plaintext fields are read, in Redis.
import type { Code } from '../../runtime/errors.ts';
import { NAME, type QueueName } from '../../runtime/names.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import type { QueueKeys, Redis } from '../../runtime/redis.ts';
import { failureOf } from '../bull/failure-text.ts';
import { queueKey } from '../bull/queue-keys.ts';

/** A job that ended with an error and is kept for a replay. */
export interface DeadLetter {
  /** Id of the job. */
  readonly jobId: string;
  /** BullMQ queue of the job. */
  readonly queue: QueueName;
  /** Name of the tenant. Like `corpus`, `kind` and `revision`, absent if the job has no readable data. */
  readonly tenant?: string;
  /** Name of the corpus. */
  readonly corpus?: string;
  /** Kind of the job, for example `index`, `delete` or `upload`. */
  readonly kind?: string;
  /** Revision of the document that the job would have written. */
  readonly revision?: number;
  /** Code of the error that ended the job. */
  readonly code: Code;
  /** For a file that could not be read: the reason, a word of docs/uploads.md. */
  readonly reason?: string;
  /** Time at which the job became a dead letter: Unix time in milliseconds. */
  readonly since: number;
  /** Number of attempts. */
  readonly attempts: number;
}

/** The dead letters of one BullMQ queue. */
export interface LetterPlace {
  readonly redis: Redis;
  readonly keys: QueueKeys;
}

export function letterQueueOf<Place extends LetterPlace>(
  places: readonly Place[],
  { queue }: Pick<DeadLetter, 'queue'>,
): Place {
  const place = places.find(({ keys }) => keys.queueName === queue);
  if (!place) throw new Error(`no place for letters of ${queue}`);
  return place;
}

export const failedKey = ({ keys }: LetterPlace): string => queueKey(keys, 'failed');
export const jobKey = ({ keys }: LetterPlace, jobId: string): string => queueKey(keys, jobId);

/** Entries per script: even with the largest inline content a script takes milliseconds. */
const CONCURRENCY = 50;

/**
 * Returns for each entry { score, tenant, corpus, kind, revision, failedReason, attempts }, or nil if it is not a dead letter.
 * The fields of an entry that is not a hash are missing.
 */
const READ = script({
  name: 'letters_read',
  keys: ['failed', '...entries'],
  args: ['...ids'],
  lua: `
  local found = {}
  for at, id in ipairs(ids) do
    local entry = entries[at]
    local score = redis.call('ZSCORE', failed, id)
    if score and redis.call('EXISTS', entry) == 1 then
      local fields = redis.pcall('HMGET', entry, 'data', 'failedReason', 'atm')
      local data = fields[1] or ''
      local function word(name) return string.match(data, '"' .. name .. '":"([a-zA-Z0-9_=-]+)"') or '' end
      found[at] = { score, word('tenant'), word('corpus'), word('kind'), string.match(data, '"revision"%s*:%s*(%d+)') or '',
        fields[2] or '', fields[3] or '0' }
    else
      found[at] = false
    end
  end
  return found`,
});

/** In the order of the ids; undefined for a job that is not a dead letter. */
export async function readLetters(
  place: LetterPlace,
  jobIds: readonly string[],
): Promise<readonly (DeadLetter | undefined)[]> {
  const batches: (readonly string[])[] = [];
  for (let at = 0; at < jobIds.length; at += CONCURRENCY) batches.push(jobIds.slice(at, at + CONCURRENCY));
  const answers = await Promise.all(
    batches.map((ids) => {
      const entries = ids.map((id) => jobKey(place, id));
      return runScript(place.redis, READ, { failed: failedKey(place), entries, ids });
    }),
  );
  const found = answers.flat(1) as (string[] | null)[];
  return jobIds.map((jobId, at) => (found[at] ? letterOf(place, jobId, found[at]) : undefined));
}

const named = (field: 'tenant' | 'corpus' | 'kind', text = ''): Partial<DeadLetter> =>
  NAME.test(text) ? { [field]: text } : {};

function letterOf(
  { keys }: LetterPlace,
  jobId: string,
  [score, tenant, corpus, kind, revision, reason, attempts]: readonly string[],
): DeadLetter {
  return {
    jobId,
    queue: keys.queueName,
    ...named('tenant', tenant),
    ...named('corpus', corpus),
    ...named('kind', kind),
    ...(Number.isSafeInteger(Number(revision || undefined)) ? { revision: Number(revision) } : {}),
    ...failureOf(reason),
    since: Number(score),
    attempts: Number.isSafeInteger(Number(attempts)) ? Number(attempts) : 0,
  };
}
