// Parked jobs of all gates as one list, oldest first: merges the gates' indexes in all queues, page by page.
import { gateId, keyRef, type KeyRef } from '../runtime/key-ref.ts';
import type { Code } from '../runtime/errors.ts';
import { QUEUE_NAMES, type QueueName } from '../runtime/names.ts';
import type { ParkedEntry } from '../queue/parked/parked-list.ts';
import type { JobQueue } from '../queue/bull/queues.ts';
import { GATES_LISTED, recordsOf, type GateDeps } from './gates.ts';

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
}

const isDry = ({ entries, at, next }: Source): boolean => at >= entries.length && next !== undefined;

/** Reads at most 1,000 gates. @throws SealdexError `REDIS_FAILED` */
export async function* parkedJobs(
  deps: ParkedDeps,
  { tenant, size = PAGE }: { tenant?: string | undefined; size?: number } = {},
): AsyncGenerator<ParkedJob> {
  await deps.gates.tick();
  const records = recordsOf(deps.gates).filter((record) => tenant === undefined || record.tenant === tenant);
  const sources = records.slice(0, GATES_LISTED).flatMap(({ tenant: owner, keyArn, code }): Source[] => {
    const place = { ...keyRef(owner, keyArn), code };
    const id = gateId(place);
    return QUEUE_NAMES.map((queueName) => ({ id, queueName, place, entries: [], at: 0, next: 0 }));
  });
  for (;;) {
    for (const source of sources.filter(isDry)) await fill(deps, source, Math.min(size, PAGE));
    const oldest = oldestOf(sources);
    if (!oldest) return;
    const { jobId, since, code = oldest.place.code, count = 1 } = oldest.entries[oldest.at]!;
    oldest.at += 1;
    yield { jobId, ...oldest.place, code, since, count };
  }
}

async function fill({ queue }: ParkedDeps, source: Source, size: number): Promise<void> {
  while (isDry(source)) {
    const { entries, next } = await queue.parkedPage(source.id, source.queueName, source.next ?? 0, size);
    source.entries = entries;
    source.at = 0;
    source.next = next;
  }
}

function oldestOf(sources: readonly Source[]): Source | undefined {
  const since = ({ entries, at }: Source): number => entries[at]?.since ?? Number.POSITIVE_INFINITY;
  const [first] = sources;
  const oldest = first && sources.reduce((best, each) => (since(each) < since(best) ? each : best));
  return oldest && oldest.at < oldest.entries.length ? oldest : undefined;
}
