// Notes: a small key a job, which tells what became of it after BullMQ has forgotten it, or why it waits.
// Also written into the job's marker, so that a repeated request learns how the first one ended.
import type { Clock } from '../../runtime/clock.ts';
import { isCode, type Code } from '../../runtime/errors.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { BACKLOG } from '../backlog/backlog.ts';
import { fileReason } from './failure-text.ts';
import { queueKey } from './queue-keys.ts';

const ENDS = ['done', 'superseded', 'dead'] as const;
/** How a job ends. */
export type EndState = (typeof ENDS)[number];

export interface StatusNote {
  readonly state: EndState | 'retrying';
  /** What ended it, or what it waits for: of one that is `retrying`, what failed or why it was deferred. */
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
 * it. A job that was parked and has come back by itself is still in the index of its gate (`parkedPrefix` and the gate's name).
 * With an empty `token` there is no lock to be asked for.
 */
const WRITE = script({
  name: 'note',
  keys: ['note', 'marker', 'lock', 'entry', 'backlogJobs', 'backlogBytes'],
  args: ['text', 'lifeMs', 'state', 'code', 'token', 'parkedPrefix', 'jobId'],
  lua: `${BACKLOG}
    if token ~= '' and redis.call('GET', lock) ~= token then return 0 end
    local gate = string.match(redis.call('HGET', entry, 'parked') or '', '(%S+)$')
    if gate then redis.call('ZREM', parkedPrefix .. gate, jobId) end
    redis.call('SET', note, text, 'PX', lifeMs)
    if state == 'dead' then entry_returns(backlogJobs, backlogBytes, entry) end
    if state == 'done' or state == 'superseded' then entry_leaves(backlogJobs, backlogBytes, entry) end
    if state == 'retrying' then return 1 end
    if redis.call('EXISTS', marker) == 1 then redis.call('HSET', marker, 'state', state, 'code', code) end
    return 1`,
});

/** Answers whether it was written: with a lock, only while that is ours. */
export async function writeStatusNote(
  redis: Redis,
  keys: QueueKeys,
  clock: Clock,
  jobId: string,
  lifeMs: number,
  note: Omit<StatusNote, 'since'>,
  lock?: NoteLock,
): Promise<boolean> {
  const reason = note.reason === undefined ? '' : ` ${note.reason}`;
  const entry = lock?.entry ?? queueKey(keys, jobId);
  const isWritten = await runScript(redis, WRITE, {
    note: keys.note(jobId),
    marker: keys.marker(jobId),
    lock: `${entry}:lock`,
    entry,
    backlogJobs: keys.backlogJobs,
    backlogBytes: keys.backlogBytes,
    text: `${note.state} ${clock.now()} ${note.code ?? ''}${reason}`,
    lifeMs,
    state: note.state,
    code: note.code ?? '',
    token: lock?.token ?? '',
    parkedPrefix: keys.parked(''),
    jobId,
  });
  return isWritten === 1;
}

export const isEnd = (text: string): text is EndState => (ENDS as readonly string[]).includes(text);

/** A code as it stands in Redis; one of another version is left out. */
export const knownCode = (text = ''): { code?: Code } => (isCode(text) ? { code: text } : {});

export async function readNote(redis: Redis, keys: RedisKeys, jobId: string): Promise<StatusNote | undefined> {
  const text = await runCommand(redis.get(keys.note(jobId)));
  const [state, since, code, reason] = (text ?? '').split(' ');
  if (!state || !since || !(isEnd(state) || state === 'retrying')) return undefined;
  const known = knownCode(code);
  return { state, since: Number(since), ...known, ...fileReason(known.code, reason) };
}
