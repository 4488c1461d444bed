// A dead letter as Redis tells it: BullMQ's failed set is the truth, the job's own entry has the facts.
// Only looks. A job's data stays in Redis: what is read of it are the few words that stand there in the clear.
import type { Code } from '../../errors.ts';
import { NAME } from '../../names.ts';
import { run, type Redis, type RedisKeys, type Script } from '../../redis.ts';
import { codeOfFailure } from '../failure-text.ts';

export interface Letter {
  readonly jobId: string;
  /** Missing when the job's data names none, as `corpus`, `kind` and `revision`. */
  readonly tenant?: string;
  readonly corpus?: string;
  readonly kind?: string;
  readonly revision?: number;
  readonly code: Code;
  /** Wall clock, milliseconds: when it died. */
  readonly since: number;
  readonly attempts: number;
}

/** Whose letters: those of one BullMQ queue. */
export interface LetterPlace {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly queueName: string;
}

export const failedKey = ({ keys, queueName }: LetterPlace): string => `${keys.prefix}:${queueName}:failed`;
export const jobKey = ({ keys, queueName }: LetterPlace, jobId: string): string =>
  `${keys.prefix}:${queueName}:${jobId}`;

/** Answers { score, tenant, corpus, kind, revision, failedReason, attempts }, or nil when it is no dead letter. */
const READ: Script = {
  name: 'letter_read',
  keys: 2,
  lua: `
    local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if not score or redis.call('EXISTS', KEYS[2]) == 0 then return false end
    local job = redis.call('HMGET', KEYS[2], 'data', 'failedReason', 'atm')
    local data = job[1] or ''
    local function word(name) return string.match(data, '"' .. name .. '":"([a-zA-Z0-9_=-]+)"') or '' end
    return { score, word('tenant'), word('corpus'), word('kind'), string.match(data, '"revision":(%d+)') or '',
      job[2] or '', job[3] or '0' }`,
};

/** In the order of the ids; undefined for what is no dead letter (any more). */
export const readLetters = (place: LetterPlace, jobIds: readonly string[]): Promise<(Letter | undefined)[]> =>
  Promise.all(
    jobIds.map(async (jobId) => {
      const found = await run(place.redis, READ, [failedKey(place), jobKey(place, jobId), jobId]);
      return Array.isArray(found) ? letterOf(jobId, found as string[]) : undefined;
    }),
  );

function letterOf(jobId: string, [score, tenant, corpus, kind, revision, reason, attempts]: readonly string[]): Letter {
  return {
    jobId,
    ...named('tenant', tenant),
    ...named('corpus', corpus),
    ...named('kind', kind),
    ...(Number.isSafeInteger(Number(revision || undefined)) ? { revision: Number(revision) } : {}),
    code: codeOfFailure(reason),
    since: Number(score),
    attempts: Number(attempts),
  };
}

const named = (field: 'tenant' | 'corpus' | 'kind', text = ''): Partial<Letter> =>
  NAME.test(text) ? { [field]: text } : {};
