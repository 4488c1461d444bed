// The demo: real documents of three tenants go all the way, while somebody watches and every claim is measured.
// Prints nothing: it tells its story to a screen. Leaves nothing behind, however it ends.
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, startIndexWorker } from '../../app.ts';
import { systemClock } from '../../clock.ts';
import type { Settings } from '../../config.ts';
import { closeRedis, openRedis } from '../../redis.ts';
import { SETTINGS } from '../../settings.ts';
import { startServices, type Services } from '../embedded.ts';
import { machineWords } from './baseline.ts';
import { openBucket } from './bucket.ts';
import { castOf, type DemoTenant, putTenants, sendingsOf, specimenOf } from './cast.ts';
import { type CorpusFile, readCorpus } from './corpus.ts';
import { type DeadLetterFigures, showDeadLetter } from './dead-letter.ts';
import { enqueueAll, failedOf, type Operator, type Producer, using } from './indexing.ts';
import { judge } from './judge.ts';
import { showOutage } from './outage.ts';
import type { OutageFigures } from './outage-story.ts';
import { type Rest, searchRest, type SearchResult } from './search.ts';
import * as story from './story.ts';
import type { DemoScreen } from './story.ts';
import { plainWords } from './words.ts';

export type { DemoScreen, DemoTenant };

/** The line that `--json` prints: nothing more, nothing less. */
export interface DemoResult extends IndexFigures, OutageFigures {
  readonly dead: DeadLetterFigures;
}

/** Of the first act, in which documents are indexed. */
export interface IndexFigures {
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
}

export interface DemoReport {
  readonly result: DemoResult;
  /** Of the files that were indexed. */
  readonly bytes: number;
  /** Of all objects that S3 holds at the end. */
  readonly storedBytes: number;
  readonly tenants: readonly (DemoTenant & { readonly documents: number })[];
  /** Of the first act. */
  readonly kmsByTenant: readonly { readonly tenant: string; readonly operation: string; readonly calls: number }[];
}

/** Of the checkout, wherever the command was started. */
export const NODE_MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const WORKING_MS = 60_000;

/**
 * Runs the whole demo.
 * @throws Error for what is wrong with the machine (no Redis, no packages), and the signal's reason; a step that gives a
 * wrong answer shows in the result
 */
export async function runDemo(screen: DemoScreen, signal: AbortSignal): Promise<DemoReport> {
  const files = await readCorpus(NODE_MODULES, signal);
  if (files.length === 0) throw new Error('No documents were found in node_modules: run npm ci first.');
  story.opening(screen);
  try {
    const services = await startServices({ signal });
    try {
      return await withServices(services, files, screen, signal);
    } finally {
      await services.stop();
    }
  } catch (error) {
    // An abort makes calls fail in many ways; none of those is what happened.
    signal.throwIfAborted();
    throw error;
  }
}

async function withServices(
  services: Services,
  files: readonly CorpusFile[],
  screen: DemoScreen,
  signal: AbortSignal,
): Promise<DemoReport> {
  const settings = settingsOf(services);
  const redis = await openRedis({ redisUrl: services.redis.url }, 'prompt');
  try {
    const bucket = openBucket(services.s3.endpoint, String(settings.SEALDEX_BUCKET));
    const tenants = castOf(() => services.kms.createKey(), String(settings.SEALDEX_PLATFORM_KEY_ARN));
    const known = await machineWords(services, settings, tenants, redis, signal);
    const wanted = wordsOf(files).difference(known);
    if (wanted.size === 0) throw new Error('The documents have no words of their own to search for.');
    services.kms.counts.reset();
    return await using(await createOperator(settings), async (operator) =>
      using(await createProducer(settings), (producer) =>
        show({
          services,
          settings,
          rest: { redis, bucket },
          operator,
          producer,
          tenants,
          files,
          wanted,
          screen,
          signal,
        }),
      ),
    );
  } finally {
    closeRedis(redis);
  }
}

interface Stage {
  readonly services: Services;
  readonly settings: Settings;
  readonly rest: Rest;
  readonly operator: Operator;
  readonly producer: Producer;
  readonly tenants: readonly DemoTenant[];
  readonly files: readonly CorpusFile[];
  /** Words of the corpus that nothing at rest may hold. */
  readonly wanted: ReadonlySet<string>;
  readonly screen: DemoScreen;
  readonly signal: AbortSignal;
}

async function show(stage: Stage): Promise<DemoReport> {
  const { services, settings, rest, operator, producer, tenants, files, screen, signal } = stage;
  const indexing = await showIndexing(stage);
  const [first, second] = tenants;
  if (!first || !second) throw new Error('The demo needs two tenants with KMS keys of their own.');
  const outage = await showOutage({
    kms: services.kms,
    redis: rest.redis,
    victim: second,
    settings,
    operator,
    producer,
    tenants,
    files,
    screen,
    signal,
  });
  const dead = await showDeadLetter({
    bucket: rest.bucket,
    tenant: first,
    settings,
    operator,
    producer,
    files,
    screen,
    signal,
  });
  return { ...indexing, result: { ...indexing.result, ...outage, dead } };
}

type IndexReport = Omit<DemoReport, 'result'> & { readonly result: IndexFigures };

/** The first act: documents go all the way, and everything at rest is searched for their words. */
async function showIndexing(stage: Stage): Promise<IndexReport> {
  const { services, settings, rest, tenants, files, wanted, screen, signal } = stage;
  await putTenants(stage.operator, tenants);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const sendings = sendingsOf(files, tenants);
  story.cast(screen, tenants, sendings, bytes);

  const queued = await timed(() =>
    enqueueAll(stage.producer, sendings, story.progressOf(screen, 'Encrypting and queueing'), signal),
  );
  const jobIds = queued.value.flatMap((id) => id ?? []);
  story.waiting(screen, jobIds.length, queued.seconds);
  const before = await searchRest(rest, wanted, signal);
  story.searched(screen, before, wanted.size, 'while all jobs wait');

  const worked = await work(stage, jobIds);
  const failed = files.length - jobIds.length + worked.value;
  const kmsByTenant = kmsCalls(services, tenants);
  story.worked(screen, files.length, failed, worked.seconds);

  const specimen = specimenOf(files, sendings, tenants);
  const finding = await judge(services, settings, rest.bucket, specimen, signal);
  story.judged(screen, specimen, finding);
  const after = await searchRest(rest, wanted, signal);
  story.searched(screen, after, wanted.size, 'now that all is stored');

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

/** The worker's whole life: from its start until all jobs have ended is timed, its stop is not. */
async function work(
  { settings, operator, producer, screen, signal }: Stage,
  jobIds: readonly string[],
): Promise<Timed<number>> {
  const started = systemClock.monotonic();
  return using(await startIndexWorker(settings, { host: '127.0.0.1', log: 'silent' }), async () => {
    const progress = story.progressOf(screen, 'Indexing');
    const value = await failedOf({ producer, operator, jobIds, progress, signal, deadlineMs: WORKING_MS });
    return { value, seconds: (systemClock.monotonic() - started) / 1000 };
  });
}

/** All defaults, so that the environment's settings change nothing, and the embedded services over them. */
function settingsOf(services: Services): Settings {
  const defaults = Object.entries(SETTINGS).map(([name, { byDefault }]) => [name, byDefault ?? undefined] as const);
  return {
    ...Object.fromEntries(defaults),
    ...services.settings,
    SEALDEX_PORT: 0,
    SEALDEX_DRAIN_MS: 2000,
    SEALDEX_STOP_MS: 5000,
  };
}

function wordsOf(files: readonly CorpusFile[]): Set<string> {
  const found = new Set<string>();
  for (const { text, path } of files) plainWords(Buffer.from(`${path}\n${text}`), (word) => found.add(word));
  return found;
}

function kmsCalls(services: Services, tenants: readonly DemoTenant[]): DemoReport['kmsByTenant'] {
  const rows = tenants.flatMap(({ tenant }) =>
    ['GenerateDataKey', 'Decrypt'].map((operation) => ({
      tenant,
      operation,
      calls: services.kms.counts.count({ tenant, operation }),
    })),
  );
  return rows.filter(({ calls }) => calls > 0);
}

const callsOf = (rows: DemoReport['kmsByTenant'], operation: string): number =>
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
