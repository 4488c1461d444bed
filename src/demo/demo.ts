// The demo: real documents of three tenants go all the way, while somebody watches and every claim is measured.
// Prints nothing: it tells its story to a screen. Leaves nothing behind, however it ends.
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer } from '../app/app.ts';
import type { Settings } from '../runtime/config.ts';
import { closeRedis, openRedis } from '../runtime/redis.ts';
import { SETTINGS } from '../runtime/settings.ts';
import type { Services } from './services.ts';
import { machineWords } from './baseline.ts';
import { openBucket } from './bucket.ts';
import { castOf, type DemoTenant } from './cast.ts';
import { type CorpusFile, readCorpus } from './corpus.ts';
import { type DeadLetterFigures, showDeadLetter } from './dead-letter.ts';
import { type FirstActFigures, type FirstActReport, showFirstAct, type Stage } from './first-act.ts';
import { using } from './indexing.ts';
import { showOutage } from './outage.ts';
import type { OutageFigures } from './outage-story.ts';
import * as story from './story.ts';
import type { DemoScreen } from './story.ts';
import { readUploads, type UploadFile } from './upload-files.ts';
import { wordsOfUploads } from './uploads.ts';
import { plainWords } from './words.ts';

export type { DemoScreen, DemoTenant };

/** The line that `--json` prints: nothing more, nothing less. */
export interface DemoResult extends FirstActFigures, OutageFigures {
  readonly dead: DeadLetterFigures;
}

export interface DemoReport extends FirstActReport {
  readonly result: DemoResult;
}

/** Of the checkout, wherever the command was started. */
export const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
export const EXAMPLES = fileURLToPath(new URL('../../examples/files', import.meta.url));
/** Each reads a few files: more of them would take longer to start than they save. */
const UPLOADS_AT_ONCE = 2;

/**
 * Runs the whole demo.
 * @throws Error for what is wrong with the machine (no Redis, no packages), and the signal's reason; a step that gives a
 * wrong answer shows in the result
 */
export async function runDemo(
  screen: DemoScreen,
  signal: AbortSignal,
  startServices: (options: { signal: AbortSignal }) => Promise<Services>,
): Promise<DemoReport> {
  const files = await readCorpus(NODE_MODULES, signal);
  if (files.length === 0) throw new Error('No documents were found in node_modules: run npm ci first.');
  const uploads = await readUploads({ nodeModules: NODE_MODULES, examples: EXAMPLES }, files, signal);
  story.opening(screen);
  try {
    const services = await startServices({ signal });
    try {
      return await withServices(services, files, uploads, screen, signal);
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
  uploads: readonly UploadFile[],
  screen: DemoScreen,
  signal: AbortSignal,
): Promise<DemoReport> {
  const settings = settingsOf(services);
  const redis = await openRedis({ redisUrl: services.redis.url }, 'prompt');
  try {
    const bucket = openBucket(services.s3.endpoint, String(settings.SEALDEX_BUCKET));
    const tenants = castOf(() => services.kms.createKey(), String(settings.SEALDEX_PLATFORM_KEY_ARN));
    const known = await machineWords(services, settings, tenants, redis, signal);
    const wanted = wordsOf(files).union(wordsOfUploads(uploads)).difference(known);
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
          uploads,
          known,
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

async function show(stage: Stage): Promise<DemoReport> {
  const { services, settings, rest, operator, producer, tenants, files, screen, signal } = stage;
  const first = await showFirstAct(stage);
  const [sender, victim] = tenants;
  if (!sender || !victim) throw new Error('The demo needs two tenants with KMS keys of their own.');
  const outage = await showOutage({
    kms: services.kms,
    redis: rest.redis,
    victim,
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
    tenant: sender,
    settings,
    operator,
    producer,
    files,
    screen,
    signal,
  });
  const { uploads, ...figures } = first.result;
  return { ...first, result: { ...figures, ...outage, dead, uploads } };
}

/** All defaults, so that the environment's settings change nothing, and the embedded services over them. */
function settingsOf(services: Services): Settings {
  const defaults = Object.entries(SETTINGS).map(([name, { byDefault }]) => [name, byDefault ?? undefined] as const);
  return {
    ...Object.fromEntries(defaults),
    ...services.settings,
    SEALDEX_PORT: 0,
    SEALDEX_UPLOAD_CONCURRENCY: UPLOADS_AT_ONCE,
    SEALDEX_DRAIN_MS: 2000,
    SEALDEX_STOP_MS: 5000,
  };
}

function wordsOf(files: readonly CorpusFile[]): Set<string> {
  const found = new Set<string>();
  for (const { text, path } of files) plainWords(Buffer.from(`${path}\n${text}`), (word) => found.add(word));
  return found;
}
