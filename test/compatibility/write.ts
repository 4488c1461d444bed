// Writes the saved installation of this release: `node test/compatibility/write.ts`, then `npm run format`.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createOperator, createProducer, startWorker } from '../../src/app/app.ts';
import { startServices } from '../../src/cli/dev/local-services.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import { closeRedis, openRedis, type Redis } from '../../src/runtime/redis.ts';
import { VERSION } from '../../src/runtime/version.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { savedDocument, savedFile, type SavedInstallation, type SavedKey, type SavedObject } from './saved.ts';

/** Content above it goes to S3. */
const INLINE_BYTES = 4096;

/** Repetitions of the text of a document that goes there. */
const LARGE = 200;

/** Keys that expire sooner belong to running processes. */
const MIN_LIFE_MS = 60_000;

const dir = await mkdtemp(join(tmpdir(), 'sealdex-write-'));
const services = await startServices({ dir });
const settings: Settings = {
  ...services.settings,
  SEALDEX_QUEUE: 'saved',
  SEALDEX_INLINE_BYTES: String(INLINE_BYTES),
  SEALDEX_LOG_LEVEL: 'error',
  SEALDEX_PORT: 0,
};
try {
  await writeInstallation();
} finally {
  await services.stop();
  await rm(dir, { recursive: true, force: true });
}

async function writeInstallation(): Promise<void> {
  const { kms } = services;
  await using operator = await createOperator(settings);
  await using producer = await createProducer(settings);
  const jobs: Record<string, string> = {};
  const keyOf = async (tenant: string): Promise<string> => {
    const kmsKeyArn = kms.createKey();
    await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn, whenKeyShut: 'park', keepOriginals: true });
    return kmsKeyArn;
  };
  const index = async (name: string, tenant: string, repetitions = 1, more: object = {}): Promise<void> => {
    const request = { tenant, corpus: 'docs', document: savedDocument(name, repetitions), ...more };
    jobs[name] = (await producer.enqueueIndex(request)).jobId;
  };
  const upload = async (name: string, tenant: string): Promise<void> => {
    const body = Buffer.from(`Text of ${name}.`);
    const request = { tenant, corpus: 'docs', documentId: name, filename: `${name}.txt`, body };
    jobs[name] = (await producer.enqueueUpload(request)).jobId;
  };
  const remove = async (name: string, tenant: string, id: string): Promise<void> => {
    jobs[name] = (await producer.enqueueDelete({ tenant, corpus: 'docs', id })).jobId;
  };
  const reaches = (name: string, state: string): Promise<unknown> =>
    eventually(async () => (await producer.status(jobs[name] ?? '')).state === state);

  await keyOf('acme');
  await keyOf('moved');
  const parkedKey = await keyOf('parked');
  {
    await using _worker = await startWorker(settings, { host: '127.0.0.1' });
    await index('stored', 'acme', 1, { idempotencyKey: 'first' });
    await index('large', 'acme', LARGE);
    await index('deleted', 'acme');
    await index('re-encrypted', 'moved');
    await upload('file', 'acme');
    for (const name of ['stored', 'large', 'deleted', 're-encrypted', 'file']) await reaches(name, 'done');
    await remove('deletion', 'acme', 'deleted');
    await reaches('deletion', 'done');
    const conflict = { tenant: 'acme', corpus: 'docs', document: savedDocument('stored'), ifExists: 'reject' } as const;
    jobs['conflict'] = (await producer.enqueueIndex(conflict)).jobId;
    await reaches('conflict', 'dead');
    kms.disable(parkedKey);
    await index('parked inline', 'parked');
    await index('parked in intake', 'parked', LARGE);
    await upload('parked file', 'parked');
    for (const name of ['parked inline', 'parked in intake', 'parked file']) await reaches(name, 'parked');
  }
  await operator.setKey('moved', kms.createKey());
  await index('waiting inline', 'acme', 1, { idempotencyKey: 'second' });
  await index('waiting in intake', 'acme', LARGE);
  await index('waiting plain', 'acme');
  await upload('waiting file', 'acme');
  await remove('waiting deletion', 'acme', 'large');
  await save(jobs);
}

async function save(jobs: Readonly<Record<string, string>>): Promise<void> {
  const config = loadConfig(settings, {});
  await using opened = new AsyncDisposableStack();
  const redis = opened.adopt(await openRedis(config, 'patient'), closeRedis);
  const store = opened.adopt(createStore(config, 'patient'), (store) => store.close());
  const saved: SavedInstallation = {
    savedAt: Date.now(),
    settings: { SEALDEX_QUEUE: config.queue, SEALDEX_PLATFORM_KEY_ARN: config.platformKeyArn },
    kms: JSON.parse(await readFile(join(dir, 'kms.json'), 'utf8')),
    redis: await keysOf(redis),
    objects: await objectsOf(store),
    jobs,
  };
  const file = savedFile(VERSION);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(saved, null, 2)}\n`);
}

async function keysOf(redis: Redis): Promise<SavedKey[]> {
  const keys: SavedKey[] = [];
  for (const key of (await redis.keys('*')).toSorted()) {
    const lifeMs = await redis.pttl(key);
    const type = await redis.type(key);
    // BullMQ's stream of events is for debugging.
    if (type === 'stream' || (lifeMs >= 0 && lifeMs < MIN_LIFE_MS)) continue;
    keys.push({
      key,
      type: type as SavedKey['type'],
      value: await valueOf(redis, key, type),
      ...(lifeMs >= 0 && { lifeMs }),
    });
  }
  return keys;
}

async function valueOf(redis: Redis, key: string, type: string): Promise<string[]> {
  if (type === 'string') return [(await redis.get(key)) ?? ''];
  if (type === 'hash') return Object.entries(await redis.hgetall(key)).flat();
  if (type === 'zset') return redis.zrange(key, '0', '-1', 'WITHSCORES');
  if (type === 'list') return redis.lrange(key, 0, -1);
  return redis.smembers(key);
}

async function objectsOf(store: Store): Promise<SavedObject[]> {
  const { objects } = await store.list('', {});
  return Promise.all(
    objects.map(async ({ key }) => {
      const stored = await store.get(key);
      if (!stored) throw new Error(`The object ${key} does not exist.`);
      return { key, metadata: stored.metadata, base64: (await readAll(stored)).toString('base64') };
    }),
  );
}
