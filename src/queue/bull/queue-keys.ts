// BullMQ keys: the Redis keys of BullMQ's queues. Keys of sealdex are in redis.ts.
import type { JobKind } from '../../jobs/jobs.ts';
import type { QueueName } from '../../runtime/names.ts';
import type { QueueKeys } from '../../runtime/redis.ts';

export const queueOf = (kind: JobKind): QueueName => (kind === 'upload' ? 'upload' : 'index');

/** `name`: `wait`, `prioritized`, `active`, `delayed` or `failed`; a job id for its entry; '' for the prefix of all keys. */
export const queueKey = ({ prefix, queueName }: QueueKeys, name: string): string => `${prefix}:${queueName}:${name}`;
