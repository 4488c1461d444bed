// Redis identity (`birth` in keys): a random id and the time at which Redis was first used, with a copy in S3.
// If both match, a job that is not in the queue has ended. If they differ, it may have been lost with another Redis.
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../runtime/clock.ts';
import { runCommand, type Redis, type RedisKeys } from '../runtime/redis.ts';
import { readBirth, replaceBirth, writeBirth } from '../store/redis-identity.ts';
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

/** Creates the identity in Redis, and its copy in S3, where missing. Returns whether both match. */
export async function ensureRedisIdentity(deps: RedisIdentityDeps): Promise<boolean> {
  const { redis, keys, store, queue, clock } = deps;
  const made: RedisIdentity = { v: 1, id: randomBytes(16).toString('hex'), at: clock.now() };
  await runCommand(redis.setnx(keys.birth, JSON.stringify(made)));
  const here = await runCommand(redis.get(keys.birth));
  if (here !== null && (await readBirth(store, queue)) === undefined) await writeBirth(store, queue, here);
  return (await matchingRedisIdentity(deps)) !== undefined;
}

/** Makes this Redis the one of the bucket. Only if all jobs of the previous one are in it, or given up. */
export async function acceptRedisIdentity({ redis, keys, store, queue }: RedisIdentityDeps): Promise<void> {
  const here = await runCommand(redis.get(keys.birth));
  if (here !== null) await replaceBirth(store, queue, here);
}

/** Returns the identity if Redis and S3 have the same; undefined if they differ or one has none. */
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

/** Maximum difference between the clock of S3 and that of the process that made the identity. */
const APART_MS = 600_000;

/** Whether an object was modified after this Redis was first used, so that its job must have been in this Redis. */
export const isSince = ({ at }: RedisIdentity, modifiedAt: number): boolean => modifiedAt > at + APART_MS;
