// BullMQ's queues and their keys as our scripts name them. What is in them BullMQ alone decides; our own keys are in redis.ts.
import type { JobKind } from '../../jobs/jobs.ts';
import type { QueueName } from '../../runtime/names.ts';
import type { QueueKeys } from '../../runtime/redis.ts';

/** Where jobs of a kind go. */
export const queueOf = (kind: JobKind): QueueName => (kind === 'upload' ? 'upload' : 'index');

/** `wait`, `prioritized`, `active`, `delayed` or `failed`, the id of a job for its entry, or '' for what all begin with. */
export const queueKey = ({ prefix, queueName }: QueueKeys, name: string): string => `${prefix}:${queueName}:${name}`;
