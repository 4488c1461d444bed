// Dead letter of the demo: a job whose content is missing in S3 fails, and is replayed after the content is restored.
import { CODES } from '../index.ts';
import { waitUntil, withRetries } from './calls.ts';
import type { DemoRequest } from './documents.ts';
import { enqueueAll } from './jobs.ts';
import type { DemoResult, Stage } from './stage.ts';

const CODE = 'CONTENT_MISSING';

type Replay = (maxWaitMs?: number) => Promise<DemoResult['dead']>;

/**
 * Enqueues a document too large for Redis and removes its content from S3; no worker may run yet. Returns what then waits
 * for the dead letter, puts the content back, replays it, and counts the dead letters before and after.
 */
export async function enqueueDoomed(
  stage: Pick<Stage, 'operator' | 'producer' | 'bucket' | 'screen' | 'signal'>,
  request: DemoRequest,
): Promise<Replay> {
  const { operator, producer, bucket, screen, signal } = stage;
  const { tenant } = request;
  const [jobId = ''] = await enqueueAll(stage, [request]);
  const [key = ''] = await bucket.keys(`intake/${tenant}/${jobId}/`);
  const content = await bucket.get(key);
  if (!content) throw new Error('The content of a large document is not in S3.');
  await bucket.remove(key);
  const letters = async (): Promise<number> =>
    (await withRetries(() => operator.deadList({ tenant, code: CODE }, { limit: 50 }), signal)).letters.length;
  return async (maxWaitMs) => {
    const waitFor = (state: string): Promise<boolean> =>
      waitUntil(async () => (await producer.status(jobId)).state === state, signal, maxWaitMs);
    await waitFor('dead');
    const before = await letters();
    screen.say(
      `A job of ${tenant}, whose content was removed from S3, is a dead letter (${CODE}): ${CODES[CODE].description}.`,
    );
    await bucket.put(key, content.body, content.headers);
    await withRetries(() => operator.replay({ tenant, code: CODE }, { signal }), signal);
    await waitFor('done');
    const after = await letters();
    screen.say(`Its content was put back and the dead letter replayed. Dead letters left: ${after}.`);
    return { before, after };
  };
}
