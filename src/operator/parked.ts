// Parked jobs of all gates as one list, oldest first: merges the gates' indexes in all queues, page by page.
import { gateId, keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Code } from '../runtime/errors.ts';
import { QUEUE_NAMES, type QueueName } from '../runtime/names.ts';
import type { ParkedEntry } from '../queue/parked/parked-list.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import type { GateRecord } from '../parking/gate.ts';
import { countsOf, recordsOf, type GateDeps } from './gates.ts';

/** A parked job and the KMS key for which it waits. */
export interface ParkedJob extends KeyRef {
  /** Id of the job. */
  readonly jobId: string;
  /** Code of the error for which the job is parked. */
  readonly code: Code;
  /** Time at which the job was parked: Unix time in milliseconds. */
  readonly since: number;
  /** Number of times the job was parked. */
  readonly count: number;
}

export interface ParkedDeps extends GateDeps {
  readonly queue: Pick<JobQueue, 'parkedPage'>;
}

const PAGE = 100;

/** One gate's jobs in one queue: the current page, and the rank at which the next one begins. */
interface Source {
  readonly id: string;
  readonly queueName: QueueName;
  readonly place: KeyRef & Pick<ParkedJob, 'code'>;
  entries: readonly ParkedEntry[];
  at: number;
  next: number | undefined;
  /** No job of the source is older. */
  since: number;
}

/** In a fixed order for jobs that were parked at the same time, whatever the size of pages. */
const byAge = (one: Source, other: Source): number =>
  one.since - other.since ||
  (one.id < other.id ? -1 : Number(one.id > other.id)) ||
  QUEUE_NAMES.indexOf(one.queueName) - QUEUE_NAMES.indexOf(other.queueName);

/** Reads the jobs of a gate only when they are the oldest. @throws SealdexError `REDIS_FAILED` */
export async function* parkedJobs(
  deps: ParkedDeps,
  { tenant, size = PAGE }: { tenant?: string | undefined; size?: number } = {},
): AsyncGenerator<ParkedJob> {
  await deps.gates.tick();
  const records = recordsOf(deps.gates).filter((record) => tenant === undefined || record.tenant === tenant);
  const counts = await countsOf(deps, records);
  const sources = records
    .flatMap((record, at) => sourcesOf(record, counts[at]?.oldest))
    .toSorted((one, other) => byAge(other, one));
  for (let source = sources.pop(); source; source = sources.pop()) {
    const entry = source.entries[source.at];
    if (entry) {
      source.at += 1;
      const { jobId, since, code = source.place.code, count = 1 } = entry;
      yield { jobId, ...source.place, code, since, count };
    } else await readPage(deps, source, Math.min(size, PAGE));
    source.since = source.entries[source.at]?.since ?? source.since;
    if (source.at < source.entries.length || source.next !== undefined) insert(sources, source);
  }
}

/** None without parked jobs. */
function sourcesOf({ tenant, keyArn, code }: GateRecord, oldest: number | undefined): Source[] {
  if (oldest === undefined) return [];
  const place = { ...keyRef(tenant, keyArn), code };
  const id = gateId(place);
  return QUEUE_NAMES.map((queueName) => ({ id, queueName, place, entries: [], at: 0, next: 0, since: oldest }));
}

async function readPage({ queue }: ParkedDeps, source: Source, size: number): Promise<void> {
  const { entries, next } = await queue.parkedPage(source.id, source.queueName, source.next ?? 0, size);
  source.entries = entries;
  source.at = 0;
  source.next = next;
}

/** Into a list with the oldest at the end. */
function insert(sources: Source[], source: Source): void {
  let [from, to] = [0, sources.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (byAge(sources[middle]!, source) > 0) from = middle + 1;
    else to = middle;
  }
  sources.splice(from, 0, source);
}
