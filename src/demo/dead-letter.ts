// The third act: somebody takes the content of a waiting job away, so it becomes a dead letter; it is listed, what was wrong
// is put right, and it is replayed. What does not happen in time shows in the figures.
import { startWorker } from '../app/app.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import type { Settings } from '../runtime/config.ts';
import type { Bucket, BucketObject } from './bucket.ts';
import type { DemoTenant } from './cast.ts';
import type { CorpusFile } from './corpus.ts';
import * as story from './dead-letter-story.ts';
import { pageOf } from './documents.ts';
import { type Operator, type Producer, using } from './indexing.ts';
import type { DemoScreen } from './story.ts';

export interface DeadLetterStage {
  readonly settings: Settings;
  readonly bucket: Bucket;
  readonly operator: Operator;
  readonly producer: Producer;
  readonly tenant: DemoTenant;
  readonly files: readonly CorpusFile[];
  readonly screen: DemoScreen;
  readonly signal: AbortSignal;
  /** When waiting for the next thing to happen ends, whatever has. */
  readonly deadlineMs?: number;
}

/** Dead letters of the tenant before the replay and after it. */
export interface DeadLetterFigures {
  readonly before: number;
  readonly after: number;
}

const CORPUS = 'letters';
const LISTED = 50;
const LOOK_EVERY_MS = 20;
const DEADLINE_MS = 30_000;

/** No worker may run yet: it would have the document before its content is gone. */
export async function showDeadLetter(stage: DeadLetterStage): Promise<DeadLetterFigures> {
  const { operator, producer, tenant, screen, signal } = stage;
  const { jobId } = await producer.enqueueIndex({
    tenant: tenant.tenant,
    corpus: CORPUS,
    document: pageOf(largestOf(stage.files), 'structured'),
  });
  const { key, object } = await takeContent(stage, jobId);
  story.taken(screen, tenant.tenant);

  return using(await startWorker(stage.settings, { host: '127.0.0.1', log: 'silent' }), async () => {
    await untilState(stage, jobId, 'dead');
    const { letters } = await operator.deadList({ tenant: tenant.tenant }, { limit: LISTED });
    story.listed(screen, tenant.tenant, letters);
    await stage.bucket.put(key, object.body, metadataOf(object), signal);
    await operator.replay({ tenant: tenant.tenant }, { signal });
    await untilState(stage, jobId, 'done');
    const { letters: left } = await operator.deadList({ tenant: tenant.tenant }, { limit: LISTED });
    story.replayed(screen, tenant.tenant, left.length);
    return { before: letters.length, after: left.length };
  });
}

/** Too large to wait inside its job. */
function largestOf(files: readonly CorpusFile[]): CorpusFile {
  const [first, ...rest] = files;
  if (!first) throw new Error('The demo needs a document.');
  return rest.reduce((largest, file) => (file.bytes > largest.bytes ? file : largest), first);
}

async function takeContent(
  { bucket, tenant, signal }: DeadLetterStage,
  jobId: string,
): Promise<{ key: string; object: BucketObject }> {
  const prefix = `intake/${tenant.tenant}/${jobId}/`;
  for await (const key of bucket.keys(signal)) {
    const object = key.startsWith(prefix) ? await bucket.get(key, signal) : undefined;
    if (!object) continue;
    await bucket.remove(key);
    return { key, object };
  }
  throw new Error('The content of a large document is not in S3.');
}

async function untilState(
  { producer, signal, deadlineMs }: DeadLetterStage,
  jobId: string,
  state: string,
): Promise<void> {
  const until = systemClock.monotonic() + (deadlineMs ?? DEADLINE_MS);
  while ((await producer.status(jobId)).state !== state && systemClock.monotonic() < until)
    await sleep(systemClock, LOOK_EVERY_MS, signal);
}

const metadataOf = ({ headers }: BucketObject): Record<string, string> =>
  Object.fromEntries(
    [...headers.matchAll(/^x-amz-meta-([^:]+): (.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
