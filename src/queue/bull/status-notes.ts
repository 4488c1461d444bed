// Status notes: one small key per job, with its final status after BullMQ has removed it, or the reason why it waits.
// The status is also written into the job's marker, so that a repeated request returns it.
import type { Clock } from '../../runtime/clock.ts';
import { isCode, type Code } from '../../runtime/errors.ts';
import { runScript, script } from '../../runtime/lua-script.ts';
import { runCommand, type QueueKeys, type Redis, type RedisKeys } from '../../runtime/redis.ts';
import { intakeName, type IntakePlace } from '../../runtime/intake-key.ts';
import { BACKLOG, BACKLOG_KEYS, backlogKeys } from '../backlog/backlog.ts';
import { fileReason } from './failure-text.ts';
import { REMOVALS } from './intake-removals.ts';
import { queueKey } from './queue-keys.ts';

const ENDS = ['done', 'superseded', 'dead'] as const;
export type EndState = (typeof ENDS)[number];

export interface StatusNote {
  readonly state: EndState | 'retrying';
  /** Code of the error that ended the job; for `retrying`, of the error or the deferral. */
  readonly code?: Code;
  /** For a file that was not read: the reason, one of extract/reasons.ts. */
  readonly reason?: string;
  /** Wall clock, milliseconds. */
  readonly since: number;
}

/** The job's entry, whose lock BullMQ keeps, and the writer's token. A writer that has lost the lock must not write. */
export interface NoteLock {
  readonly entry: string;
  readonly token: string;
}

/**
 * With the note a finished job leaves its tenant's backlog, once; a job that then becomes a dead letter returns to it.
 * Also removes the job from the index of its gate (`parkedPrefix` and the gate's name): it may have come back unreleased.
 * The content of a job that is done or superseded becomes a pending removal: `removal` is its name, or empty.
 * With an empty `token` the lock is not checked.
 */
const WRITE = script({
  name: 'note',
  keys: ['note', 'marker', 'lock', 'entry', ...BACKLOG_KEYS, 'removals'],
  args: ['text', 'lifeMs', 'state', 'code', 'token', 'parkedPrefix', 'jobId', 'removal'],
  lua: `${BACKLOG}${REMOVALS}
    if token ~= '' and redis.call('GET', lock) ~= token then return 0 end
    local gate = string.match(redis.call('HGET', entry, 'parked') or '', '(%S+)$')
    if gate then redis.call('ZREM', parkedPrefix .. gate, jobId) end
    redis.call('SET', note, text, 'PX', lifeMs)
    if state == 'dead' then entry_returns(entry) end
    if state == 'done' or state == 'superseded' then
      entry_leaves(entry)
      if removal ~= '' then removal_add(removals, removal) end
    end
    if state == 'retrying' then return 1 end
    if redis.call('EXISTS', marker) == 1 then redis.call('HSET', marker, 'state', state, 'code', code) end
    return 1`,
});

/** With `lock`, writes only if the token holds it. `content` is the job's content in S3. Returns whether the note was written. */
export async function writeStatusNote(
  redis: Redis,
  keys: QueueKeys,
  clock: Clock,
  jobId: string,
  lifeMs: number,
  note: Omit<StatusNote, 'since'>,
  lock?: NoteLock,
  content?: IntakePlace,
): Promise<boolean> {
  const reason = note.reason === undefined ? '' : ` ${note.reason}`;
  const entry = lock?.entry ?? queueKey(keys, jobId);
  const isWritten = await runScript(redis, WRITE, {
    note: keys.note(jobId),
    marker: keys.marker(jobId),
    lock: `${entry}:lock`,
    entry,
    ...backlogKeys(keys),
    text: `${note.state} ${clock.now()} ${note.code ?? ''}${reason}`,
    lifeMs,
    state: note.state,
    code: note.code ?? '',
    token: lock?.token ?? '',
    parkedPrefix: keys.parked(''),
    jobId,
    removals: keys.intakeRemovals,
    removal: content ? intakeName(content) : '',
  });
  return isWritten === 1;
}

export const isEnd = (text: string): text is EndState => (ENDS as readonly string[]).includes(text);

/** The code as a property; none if the text is not a code of this version. */
export const knownCode = (text = ''): { code?: Code } => (isCode(text) ? { code: text } : {});

export async function readNote(redis: Redis, keys: RedisKeys, jobId: string): Promise<StatusNote | undefined> {
  return parseNote(await runCommand(redis.get(keys.note(jobId))));
}

/** Undefined for a text that is not a status note. */
export function parseNote(text: string | null | undefined): StatusNote | undefined {
  const [state, since, code, reason] = (text ?? '').split(' ');
  if (!state || !since || !(isEnd(state) || state === 'retrying')) return undefined;
  const known = knownCode(code);
  return { state, since: Number(since), ...known, ...fileReason(known.code, reason) };
}
