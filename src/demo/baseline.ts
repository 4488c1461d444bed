// The words that Redis and S3 hold anyway: field names of the queue, HTTP headers, our own codes.
// Learned by a whole run with documents of random letters, in a queue and a bucket apart that are emptied again.
import { createOperator, createProducer, startWorker } from '../app/app.ts';
import type { Settings } from '../runtime/config.ts';
import { CODES } from '../runtime/errors.ts';
import type { Redis } from '../runtime/redis.ts';
import type { Services } from './services.ts';
import { openBucket } from './bucket.ts';
import { type DemoTenant, putTenants } from './cast.ts';
import type { Page } from './documents.ts';
import { enqueueAll, failedOf, using } from './indexing.ts';
import { randomWord, wordsAtRest } from './search.ts';
import type { UploadFile } from './upload-files.ts';
import { sendUploads, uploadStates } from './uploads.ts';
import { plainWords } from './words.ts';

const BUCKET = 'sealdex-baseline';
const QUEUE = 'baseline';
const DEADLINE_MS = 20_000;

const randomText = (words: number): string => Array.from({ length: words }, randomWord).join(' ');

/** A small one, which waits in its job, and one that waits in S3. */
const PAGES: readonly Page[] = [50, 2000].map((words, index) => ({
  type: 'structured',
  id: `${index}`,
  title: 'random',
  metadata: {},
  sections: [{ text: randomText(words) }],
}));

/** One that is read, and one that becomes a dead letter. */
const FILES: readonly UploadFile[] = [
  { id: 'a', filename: 'a.txt', bytes: Buffer.from(randomText(50)), isCutOff: false },
  { id: 'b', filename: 'b.pdf', bytes: Buffer.from(`%PDF-1.7\n${randomText(50)}`), isCutOff: true },
];

/** The same tenants as later, so that their files are known. @throws Error when the run does not end well */
export async function machineWords(
  services: Services,
  settings: Settings,
  tenants: readonly DemoTenant[],
  redis: Redis,
  signal: AbortSignal,
): Promise<Set<string>> {
  services.s3.createBucket(BUCKET);
  const apart: Settings = { ...settings, SEALDEX_QUEUE: QUEUE, SEALDEX_BUCKET: BUCKET };
  const rest = { redis, bucket: openBucket(services.s3.endpoint, BUCKET) };
  const found = new Set<string>();
  const learn = async (): Promise<void> => (await wordsAtRest(rest, signal)).forEach((word) => found.add(word));
  await using(await createOperator(apart), async (operator) => {
    await putTenants(operator, tenants);
    await using(await createProducer(apart), async (producer) => {
      const sendings = tenants.flatMap(({ tenant }) =>
        PAGES.map((document) => ({ tenant, corpus: 'random', document })),
      );
      const jobIds = (await enqueueAll(producer, sendings, () => {}, signal)).flatMap((id) => id ?? []);
      const sent = await sendUploads({ producer, tenants, files: FILES, progress: () => {}, signal });
      await learn();
      const failed = await using(await startWorker(apart, { host: '127.0.0.1', log: 'silent' }), async () => {
        const ends = { producer, operator, jobIds, progress: () => {}, signal, deadlineMs: DEADLINE_MS };
        const count = await failedOf(ends);
        const states = await uploadStates({ ...ends, sent });
        await learn();
        return count + FILES.filter(({ isCutOff }, at) => states[at] !== (isCutOff ? 'dead' : 'done')).length;
      });
      if (failed > 0 || jobIds.length < sendings.length)
        throw new Error('Documents and files of random letters were not indexed.');
    });
  });
  // What a short run may not write: the code of a failure, the KMS calls in a heartbeat.
  const names = [...Object.keys(CODES), ...services.kms.counts.all().map(({ operation }) => operation)];
  plainWords(Buffer.from(names.join(' ')), (word) => found.add(word));
  await redis.flushdb();
  return found;
}
