// Counters of the backlog: hashes in Redis with a field for each tenant, one for jobs and one for bytes.
import { runCommand, type Redis, type RedisKeys } from '../../runtime/redis.ts';

export interface Count {
  readonly jobs: number;
  readonly bytes: number;
}

/** By tenant. */
export type Counts = Map<string, Count>;

/** Names of the two hashes. */
export interface Counters {
  readonly jobCounts: string;
  readonly byteCounts: string;
}

export const backlogCounters = ({ backlogJobs, backlogBytes }: RedisKeys): Counters => ({
  jobCounts: backlogJobs,
  byteCounts: backlogBytes,
});

/** Of content that waits under the platform key instead of the tenant's own. */
export const platformCounters = ({ platformJobs, platformBytes }: RedisKeys): Counters => ({
  jobCounts: platformJobs,
  byteCounts: platformBytes,
});

/** As the scripts read counters: a text that is not a number is 0. */
function wholeOf(text: string | null | undefined): number {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : 0;
}

export async function readCount(redis: Redis, { jobCounts, byteCounts }: Counters, tenant: string): Promise<Count> {
  const [jobs, bytes] = await Promise.all([jobCounts, byteCounts].map((key) => runCommand(redis.hget(key, tenant))));
  return { jobs: wholeOf(jobs), bytes: wholeOf(bytes) };
}

export async function readCounts(redis: Redis, { jobCounts, byteCounts }: Counters): Promise<Counts> {
  const jobs = await readHash(redis, jobCounts);
  const bytes = await readHash(redis, byteCounts);
  return new Map([...jobs].map(([tenant, count]) => [tenant, { jobs: count, bytes: bytes.get(tenant) ?? 0 }]));
}

/** In pages: there is a field for each tenant. */
async function readHash(redis: Redis, key: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  let cursor = '0';
  do {
    const [next, fields] = await runCommand(redis.hscan(key, cursor, 'COUNT', 1000));
    for (let at = 0; at < fields.length; at += 2) found.set(fields[at]!, wholeOf(fields[at + 1]));
    cursor = next;
  } while (cursor !== '0');
  return found;
}
