// BullMQ's keys as our scripts name them. What is in them BullMQ alone decides; our own keys are in redis.ts.
import type { RedisKeys } from '../redis.ts';

/** BullMQ's name of the queue with index, delete and reencrypt jobs. */
export const INDEX_QUEUE = 'index';

/** `wait`, `prioritized`, `active`, `delayed` or `failed`, the id of a job for its entry, or '' for what all begin with. */
export const queueKey = (keys: RedisKeys, name: string): string => `${keys.prefix}:${INDEX_QUEUE}:${name}`;
