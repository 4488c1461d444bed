// The first act: documents and files go all the way, and everything at rest is searched for their words before and after.
// A claim that does not hold shows in the figures.
import { type JobState, startWorker } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Settings } from '../runtime/config.ts';
import type { Services } from './services.ts';
import { type DemoTenant, putTenants, sendingsOf, specimenOf } from './cast.ts';
import type { CorpusFile } from './corpus.ts';
import { enqueueAll, failedOf, type Operator, type Producer, using } from './indexing.ts';
import { judge } from './judge.ts';
import { type Rest, searchRest, type SearchResult } from './search.ts';
import * as story from './story.ts';
import type { DemoScreen } from './story.ts';
import type { UploadFile } from './upload-files.ts';
import { sendUploads, type SentUpload, showUploads, uploadStates } from './uploads.ts';
import * as uploadsStory from './uploads-story.ts';
import type { UploadFigures } from './uploads-story.ts';

const WORKING_MS = 60_000;

export interface FirstActFigures {
  readonly documents: number;
  /** Of those, how many are not stored. */
  readonly failed: number;
  /** Enqueueing and working, without the searches in between. */
  readonly seconds: number;
  readonly documentsPerSecond: number;
  /** Calls that enqueueing and working took. */
  readonly kms: { readonly GenerateDataKey: number; readonly Decrypt: number };
  readonly readBack: boolean;
  readonly officialDecrypt: boolean;
  readonly plaintextFoundInRedis: boolean;
  readonly plaintextFoundInS3: boolean;
  readonly uploads: UploadFigures;
}

export interface Stage {
  readonly services: Services;
  readonly settings: Settings;
  readonly rest: Rest;
  readonly operator: Operator;
  readonly producer: Producer;
  readonly tenants: readonly DemoTenant[];
  readonly files: readonly CorpusFile[];
  readonly uploads: readonly UploadFile[];
  /** Words that are at rest anyway. */
  readonly known: ReadonlySet<string>;
  /** Words of the documents and files that nothing at rest may hold. */
  readonly wanted: ReadonlySet<string>;
  readonly screen: DemoScreen;
  readonly signal: AbortSignal;
}

export interface FirstActReport {
  readonly result: FirstActFigures;
  /** Of the files that were indexed. */
  readonly bytes: number;
  /** Of all objects that S3 holds at the end. */
  readonly storedBytes: number;
  readonly tenants: readonly (DemoTenant & { readonly documents: number })[];
  readonly kmsByTenant: readonly { readonly tenant: string; readonly operation: string; readonly calls: number }[];
}

export async function showFirstAct(stage: Stage): Promise<FirstActReport> {
  const { services, settings, rest, operator, tenants, files, known, wanted, screen, signal } = stage;
  await putTenants(operator, tenants);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const sendings = sendingsOf(files, tenants);
  story.cast(screen, tenants, sendings, bytes);

  const queued = await timed(() =>
    enqueueAll(stage.producer, sendings, story.progressOf(screen, 'Encrypting and queueing'), signal),
  );
  const jobIds = queued.value.flatMap((id) => id ?? []);
  story.waiting(screen, jobIds.length, queued.seconds);
  const sent = await sendUploads({
    ...stage,
    files: stage.uploads,
    progress: story.progressOf(screen, 'Encrypting and uploading'),
  });
  uploadsStory.sent(screen, stage.uploads);
  const before = await searchRest(rest, wanted, signal);
  story.searched(screen, before, wanted.size, 'while all jobs wait');

  const worked = await work(stage, jobIds, sent);
  const { states, ...indexed } = worked.value;
  const failed = files.length - jobIds.length + indexed.failed;
  const kmsByTenant = kmsCalls(services, tenants);
  story.worked(screen, files.length, failed, worked.seconds);

  const specimen = specimenOf(files, sendings, tenants);
  const finding = await judge(services, settings, rest.bucket, specimen, signal);
  story.judged(screen, specimen, finding);
  const uploads = await showUploads({ settings, operator, sent, states, screen, signal });
  const wantedAfter = wanted.union(uploads.words.difference(known));
  const after = await searchRest(rest, wantedAfter, signal);
  story.searched(screen, after, wantedAfter.size, 'now that all is stored');

  const found = [before, after];
  const seconds = queued.seconds + worked.seconds;
  return {
    result: {
      documents: files.length,
      failed,
      seconds: rounded(seconds, 2),
      documentsPerSecond: rounded((files.length - failed) / seconds, 1),
      kms: { GenerateDataKey: callsOf(kmsByTenant, 'GenerateDataKey'), Decrypt: callsOf(kmsByTenant, 'Decrypt') },
      readBack: finding.readBack,
      officialDecrypt: finding.officialDecrypt,
      plaintextFoundInRedis: found.some(({ wordsInRedis }: SearchResult) => wordsInRedis > 0),
      plaintextFoundInS3: found.some(({ wordsInS3 }: SearchResult) => wordsInS3 > 0),
      uploads: uploads.figures,
    },
    bytes,
    storedBytes: after.bytes,
    tenants: tenants.map((each) => ({
      ...each,
      documents: sendings.filter(({ tenant }) => tenant === each.tenant).length,
    })),
    kmsByTenant,
  };
}

interface Worked {
  /** Of the documents. */
  readonly failed: number;
  /** Of the files. */
  readonly states: readonly JobState[];
}

/** The worker's whole life: from its start until all documents have ended is timed; the files that it still reads are not. */
async function work(
  { settings, operator, producer, screen, signal }: Stage,
  jobIds: readonly string[],
  sent: readonly SentUpload[],
): Promise<Timed<Worked>> {
  const started = systemClock.monotonic();
  return using(await startWorker(settings, { host: '127.0.0.1', log: 'silent' }), async () => {
    const progress = story.progressOf(screen, 'Indexing');
    const ends = { producer, operator, signal, deadlineMs: WORKING_MS };
    const failed = await failedOf({ ...ends, jobIds, progress });
    const seconds = (systemClock.monotonic() - started) / 1000;
    const states = await uploadStates({ ...ends, sent, progress: story.progressOf(screen, 'Reading the files') });
    return { value: { failed, states }, seconds };
  });
}

function kmsCalls(services: Services, tenants: readonly DemoTenant[]): FirstActReport['kmsByTenant'] {
  const rows = tenants.flatMap(({ tenant }) =>
    ['GenerateDataKey', 'Decrypt'].map((operation) => ({
      tenant,
      operation,
      calls: services.kms.counts.count({ tenant, operation }),
    })),
  );
  return rows.filter(({ calls }) => calls > 0);
}

const callsOf = (rows: FirstActReport['kmsByTenant'], operation: string): number =>
  rows.filter((row) => row.operation === operation).reduce((sum, { calls }) => sum + calls, 0);

interface Timed<T> {
  readonly value: T;
  readonly seconds: number;
}

async function timed<T>(work: () => Promise<T>): Promise<Timed<T>> {
  const started = systemClock.monotonic();
  const value = await work();
  return { value, seconds: (systemClock.monotonic() - started) / 1000 };
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
