// Notes: a small key a job, which tells what became of it after BullMQ has forgotten it, or why it waits.
// Also written into the job's marker, so that a repeated request learns how the first one ended.
import type { Clock } from '../clock.ts';
import { ask, run, type Redis, type RedisKeys, type Script } from '../redis.ts';

export interface Note {
  readonly state: 'done' | 'superseded' | 'dead' | 'retrying';
  readonly code?: string;
  /** Wall clock, milliseconds. */
  readonly since: number;
}

const WRITE: Script = {
  name: 'note',
  keys: 2,
  lua: `
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    if ARGV[3] ~= 'retrying' and redis.call('EXISTS', KEYS[2]) == 1 then
      redis.call('HSET', KEYS[2], 'state', ARGV[3], 'code', ARGV[4])
    end
    return 1`,
};

export async function writeNote(
  redis: Redis,
  keys: RedisKeys,
  clock: Clock,
  jobId: string,
  lifeMs: number,
  note: Omit<Note, 'since'>,
): Promise<void> {
  const text = `${note.state} ${clock.now()} ${note.code ?? ''}`;
  await run(redis, WRITE, [keys.note(jobId), keys.marker(jobId), text, lifeMs, note.state, note.code ?? '']);
}

export async function readNote(redis: Redis, keys: RedisKeys, jobId: string): Promise<Note | undefined> {
  const text = await ask(redis.get(keys.note(jobId)));
  const [state, since, code] = (text ?? '').split(' ');
  if (!state || !since) return undefined;
  return { state: state as Note['state'], since: Number(since), ...(code ? { code } : {}) };
}
