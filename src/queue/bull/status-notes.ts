// Notes: a small key a job, which tells what became of it after BullMQ has forgotten it, or why it waits.
// Also written into the job's marker, so that a repeated request learns how the first one ended.
import type { Clock } from '../../runtime/clock.ts';
import { isCode, type Code } from '../../runtime/errors.ts';
import { ask, run, type QueueKeys, type Redis, type RedisKeys, type Script } from '../../runtime/redis.ts';
import { BACKLOG } from '../backlog/backlog.ts';
import { fileReason } from './failure-text.ts';
import { queueKey } from './queue-keys.ts';

const ENDS = ['done', 'superseded', 'dead'] as const;
/** How a job ends. */
export type EndState = (typeof ENDS)[number];

export interface Note {
  readonly state: EndState | 'retrying';
  /** What ended it, or what it waits for; one that is `retrying` after a stall has `STALLED_TOO_OFTEN`. */
  readonly code?: Code;
  /** Of a file that was not read: why, as extract/reasons.ts names it. */
  readonly reason?: string;
  /** Wall clock, milliseconds. */
  readonly since: number;
}

/** Who writes: the job's entry, whose lock BullMQ keeps, and our token of it. Who has lost it has no say any more. */
export interface NoteLock {
  readonly entry: string;
  readonly token: string;
}

/**
 * A job that is done leaves its tenant's backlog with the note, once; one that becomes a dead letter after all is back in
 * it. A job that was parked and has come back by itself is still in the index of its gate (ARGV[6] and the gate's name).
 */
const WRITE: Script = {
  name: 'note',
  keys: 6,
  lua: `${BACKLOG}
    if ARGV[5] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[5] then return 0 end
    local gate = string.match(redis.call('HGET', KEYS[4], 'parked') or '', '(%S+)$')
    if gate then redis.call('ZREM', ARGV[6] .. gate, ARGV[7]) end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    if ARGV[3] == 'dead' then entry_returns(KEYS[5], KEYS[6], KEYS[4]) end
    if ARGV[3] == 'done' or ARGV[3] == 'superseded' then entry_leaves(KEYS[5], KEYS[6], KEYS[4]) end
    if ARGV[3] == 'retrying' then return 1 end
    if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HSET', KEYS[2], 'state', ARGV[3], 'code', ARGV[4]) end
    return 1`,
};

/** Answers whether it was written: with a lock, only while that is ours. */
export async function writeNote(
  redis: Redis,
  keys: QueueKeys,
  clock: Clock,
  jobId: string,
  lifeMs: number,
  note: Omit<Note, 'since'>,
  lock?: NoteLock,
): Promise<boolean> {
  const reason = note.reason === undefined ? '' : ` ${note.reason}`;
  const text = `${note.state} ${clock.now()} ${note.code ?? ''}${reason}`;
  const entry = lock?.entry ?? queueKey(keys, jobId);
  const names = [keys.note(jobId), keys.marker(jobId), `${entry}:lock`, entry, keys.backlogJobs, keys.backlogBytes];
  const args = [text, lifeMs, note.state, note.code ?? '', lock?.token ?? '', keys.parked(''), jobId];
  return (await run(redis, WRITE, [...names, ...args])) === 1;
}

export async function readNote(redis: Redis, keys: RedisKeys, jobId: string): Promise<Note | undefined> {
  const text = await ask(redis.get(keys.note(jobId)));
  const [state, since, code, reason] = (text ?? '').split(' ');
  if (!state || !since || !(isEnd(state) || state === 'retrying')) return undefined;
  const known = knownCode(code);
  return { state, since: Number(since), ...known, ...fileReason(known.code, reason) };
}

export const isEnd = (text: string): text is EndState => (ENDS as readonly string[]).includes(text);

/** A code as it stands in Redis; one of another version is left out. */
export const knownCode = (text = ''): { code?: Code } => (isCode(text) ? { code: text } : {});
