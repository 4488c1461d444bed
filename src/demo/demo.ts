// The guided tour: documents and files of three tenants go all the way on local services, and each claim is measured.
import { Redis } from 'ioredis';
import { createOperator, createProducer, createReader } from '../index.ts';
import { openBucket } from './bucket.ts';
import { openWorker, using, withRetries } from './calls.ts';
import { claimsOf, type Claim } from './claims.ts';
import { enqueueDoomed } from './dead-letter.ts';
import { randomWord, requestOf, type DemoRequest } from './documents.ts';
import { packagesFolder, readFiles, readPages, type Page, type SourceFile } from './files.ts';
import { enqueueAll, finishedStates } from './jobs.ts';
import { PROBE_SETTINGS, showOutage } from './outage.ts';
import { phrases } from './phrases.ts';
import { checkOfficialDecrypt, isAllReadBack } from './read-back.ts';
import { searchPlaintext, type SearchResult } from './search.ts';
import { number, type DemoResult, type DemoScreen, type DemoServices, type DemoTenant, type Stage } from './stage.ts';
import { readUploads, uploadAll } from './uploads.ts';

export type { Claim, DemoResult, DemoScreen, DemoServices };

const CORPUS = 'pages';
/** Every fifth document is a core document. */
const CORE_EVERY = 5;
/** The most that the setting allows: a busy machine is no reason to give up a file. */
const MAX_EXTRACT_MS = 240_000;

const tenantsOf = ({ kms }: DemoServices): DemoTenant[] => [
  { tenant: 'acme', plan: 'enterprise', kmsKeyArn: kms.createKey(), whenKeyShut: 'park' },
  { tenant: 'globex', plan: 'pro', kmsKeyArn: kms.createKey(), whenKeyShut: 'park' },
  { tenant: 'hooli', plan: 'free' },
];

/**
 * Runs the whole demo on services that hold nothing yet.
 * @throws the signal's reason; Error if the machine lacks something. A claim that does not hold is not an error.
 */
export async function runDemo(
  local: DemoServices,
  screen: DemoScreen,
  signal: AbortSignal,
): Promise<{ readonly result: DemoResult; readonly claims: readonly Claim[] }> {
  const settings = { ...local.settings, SEALDEX_PORT: 0, SEALDEX_EXTRACT_MS: MAX_EXTRACT_MS, ...PROBE_SETTINGS };
  const services = { ...local, settings };
  const redis = new Redis(services.redis.url);
  try {
    const folder = packagesFolder();
    const pages = await readPages(folder, signal);
    const files = await readFiles(folder, pages, signal);
    const bucket = openBucket(services.s3.endpoint, String(settings['SEALDEX_BUCKET']));
    const shared = { services, redis, bucket, tenants: tenantsOf(services), screen, signal };
    const result = await using(createOperator, shared, (operator) =>
      using(createProducer, shared, (producer) =>
        using(createReader, shared, (reader) => run({ ...shared, operator, producer, reader }, pages, files)),
      ),
    );
    return { result, claims: claimsOf(result) };
  } catch (error) {
    // An abort makes calls fail in many ways.
    signal.throwIfAborted();
    throw error;
  } finally {
    redis.disconnect();
  }
}

async function run(stage: Stage, pages: readonly Page[], files: readonly SourceFile[]): Promise<DemoResult> {
  const { services, operator, tenants, screen, signal } = stage;
  const [acme, globex, hooli] = tenants as [DemoTenant, DemoTenant, DemoTenant];
  for (const { tenant, ...file } of tenants) await withRetries(() => operator.putTenant(tenant, file), signal);
  screen.say('Three tenants: acme and globex have their own KMS keys, hooli uses the platform key.');

  const requests = pages.map((page, at) =>
    requestOf(tenants[at % tenants.length]!.tenant, CORPUS, page, randomWord(), at % CORE_EVERY === 0),
  );
  const enqueueingFrom = performance.now();
  const jobIds = await enqueueAll(stage, requests, 'Enqueueing');
  const enqueueMs = performance.now() - enqueueingFrom;
  const uploads = await uploadAll(stage, files);
  const largest = pages.reduce((best, page) => (page.text.length > best.text.length ? page : best));
  const replay = await enqueueDoomed(stage, requestOf(hooli.tenant, 'doomed', largest, randomWord()));
  screen.say(
    `Encrypted and enqueued ${requests.length} documents and ${files.length} files: small content is in Redis, larger content in S3.`,
  );
  const wanted = new Set<string>();
  const want = (text: string | Buffer): void => phrases(Buffer.from(text), (phrase) => wanted.add(phrase));
  const wantAll = (all: readonly DemoRequest[]): void =>
    all.flatMap(({ document, texts }) => [document.id, ...texts]).forEach(want);
  wantAll(requests);
  for (const name of uploads.flatMap(({ documentId, filename }) => [documentId, filename])) want(name);
  for (const { bytes } of files) want(bytes);
  const waiting = await search(stage, wanted);

  return using(openWorker, stage, async () => {
    const indexingFrom = performance.now();
    const states = await finishedStates(stage, 'index', jobIds, 'Indexing');
    const seconds = (enqueueMs + performance.now() - indexingFrom) / 1000;
    const stored = requests.filter((_, at) => states[at] === 'done');
    const callsOf = (operation: string): number => services.kms.counts.count({ operation });
    const kms = { GenerateDataKey: callsOf('GenerateDataKey'), Decrypt: callsOf('Decrypt') };
    screen.say(`A worker stored ${stored.length} documents, each encrypted under a data key of its tenant.`);
    const uploadIds = uploads.map(({ jobId }) => jobId);
    const uploadStates = await finishedStates(stage, 'upload', uploadIds, 'Reading files');
    const uploaded = await readUploads(stage, uploads, uploadStates, wanted);
    screen.say(
      `Child processes without network or credentials read ${uploaded.stored} files of ${uploaded.types} types. One file is truncated on purpose and becomes a dead letter.`,
    );
    const readBack = await isAllReadBack(stage, stored);
    const officialDecrypt = await checkOfficialDecrypt(stage, requests[0]!, acme.kmsKeyArn ?? '');
    const how = officialDecrypt === null ? '' : ', and one of them with the AWS Encryption SDK as well';
    screen.say(`Read all documents back with sealdex${how}, and compared their text.`);
    const dead = await replay();
    const { figures, requests: later } = await showOutage(stage, globex, pages);
    wantAll(later);
    const finished = await search(stage, wanted);
    return {
      documents: requests.length,
      failed: requests.length - stored.length,
      seconds: Number(seconds.toFixed(2)),
      documentsPerSecond: Number((stored.length / seconds).toFixed(1)),
      kms,
      readBack,
      officialDecrypt,
      plaintextFoundInRedis: waiting.foundInRedis + finished.foundInRedis > 0,
      plaintextFoundInS3: waiting.foundInS3 + finished.foundInS3 > 0,
      ...figures,
      dead,
      uploads: uploaded,
    };
  });
}

async function search({ redis, bucket, screen, signal }: Stage, wanted: ReadonlySet<string>): Promise<SearchResult> {
  const result = await searchPlaintext(redis, bucket, wanted, signal);
  const places = `${number(result.redisKeys)} Redis keys and ${number(result.objects)} S3 objects`;
  const found = result.foundInRedis + result.foundInS3;
  screen.say(
    `Searched ${places} for ${number(wanted.size)} phrases of the content: ${found} found, and all 4 controls.`,
  );
  return result;
}
