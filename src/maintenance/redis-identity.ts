// The birth mark: a random id and a time that Redis got when it was first used, with a copy in S3. As long as the two say
// the same, what the queue does not know has ended; when they differ, it may be what was lost with another Redis.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { readBirth, writeBirth } from '../store/redis-identity.ts';
import type { Store } from '../store/store.ts';

export interface RedisIdentityDeps {
  readonly redis: Redis;
  readonly keys: RedisKeys;
  readonly store: Store;
  /** SEALDEX_QUEUE. */
  readonly queue: string;
  readonly clock: Clock;
}

const mark = z.object({ v: z.literal(1), id: z.string().regex(/^[0-9a-f]{32}$/), at: z.number().nonnegative() });

export type RedisIdentity = z.infer<typeof mark>;

/** Gives Redis a mark and S3 its copy where there is none. Answers whether the two say the same. */
export async function ensureRedisIdentity(deps: RedisIdentityDeps): Promise<boolean> {
  const { redis, keys, store, queue, clock } = deps;
  const made: RedisIdentity = { v: 1, id: randomBytes(16).toString('hex'), at: clock.now() };
  await runCommand(redis.setnx(keys.birth, JSON.stringify(made)));
  const here = await runCommand(redis.get(keys.birth));
  if (here !== null && (await readBirth(store, queue)) === undefined) await writeBirth(store, queue, here);
  return (await matchingRedisIdentity(deps)) !== undefined;
}

/** The mark that Redis and S3 agree on; undefined when they do not, or one of them has none. */
export async function matchingRedisIdentity(
  { redis, keys, store, queue }: Omit<RedisIdentityDeps, 'clock'>,
  signal?: AbortSignal,
): Promise<RedisIdentity | undefined> {
  const here = parse(await runCommand(redis.get(keys.birth)));
  const there = parse((await readBirth(store, queue, signal)) ?? null);
  return here !== undefined && here.id === there?.id ? here : undefined;
}

function parse(text: string | null): RedisIdentity | undefined {
  try {
    const parsed = mark.safeParse(JSON.parse(text ?? 'null'));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The clocks of S3 and of whoever made the mark may be so far apart. */
const APART_MS = 600_000;

/** Whether something is so much younger than Redis that Redis must know of it, if it ever did. */
export const isSince = ({ at }: RedisIdentity, modifiedAt: number): boolean => modifiedAt > at + APART_MS;
