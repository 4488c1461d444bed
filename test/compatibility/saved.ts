// A saved installation: what a release left in Redis, the bucket and the local KMS, as one JSON file, to be loaded into new services.
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startKms, startRedis, startS3, type KmsServer } from '@sealdex/local-aws';
import { awsSettings } from '../../src/cli/dev/local-services.ts';
import type { StructuredDocument } from '../../src/documents/shapes.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import { closeRedis, openRedis, type Redis } from '../../src/runtime/redis.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';

/** A key of Redis. Of a sorted set, `value` alternates member and score; of a hash, field and value. */
export interface SavedKey {
  readonly key: string;
  readonly type: 'string' | 'hash' | 'zset' | 'list' | 'set';
  readonly value: readonly string[];
  /** Remaining life in milliseconds; absent for a key that does not expire. */
  readonly lifeMs?: number;
}

export interface SavedObject {
  readonly key: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly base64: string;
}

export interface SavedInstallation {
  /** Wall clock, milliseconds. */
  readonly savedAt: number;
  readonly settings: { readonly SEALDEX_QUEUE: string; readonly SEALDEX_PLATFORM_KEY_ARN: string };
  /** State file of the local KMS. */
  readonly kms: unknown;
  readonly redis: readonly SavedKey[];
  readonly objects: readonly SavedObject[];
  /** Ids of its jobs by their names in the script that wrote it. */
  readonly jobs: Readonly<Record<string, string>>;
}

const FOLDER = fileURLToPath(new URL('releases/', import.meta.url));

/** Path of the file of a release. */
export const savedFile = (release: string): string => join(FOLDER, `${release}.json`);

/** Releases with a saved installation. */
export const savedReleases = (): string[] =>
  globSync('*.json', { cwd: FOLDER })
    .map((file) => basename(file, '.json'))
    .toSorted();

export const readSaved = (release: string): SavedInstallation =>
  JSON.parse(readFileSync(savedFile(release), 'utf8')) as SavedInstallation;

export interface LoadedInstallation extends AsyncDisposable {
  readonly settings: Settings;
  readonly redis: Redis;
  readonly kms: KmsServer;
}

/** A document of a saved installation, which is the same in each. */
export const savedDocument = (id: string, repetitions = 1): StructuredDocument & { type: 'structured' } => ({
  type: 'structured',
  id,
  title: id,
  sections: [{ text: `This is the text of ${id}. `.repeat(repetitions) }],
});

/** Starts services with the saved content. */
export async function loadSaved(saved: SavedInstallation): Promise<LoadedInstallation> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'sealdex-saved-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const stateFile = join(folder, 'kms.json');
  await writeFile(stateFile, JSON.stringify(saved.kms));
  const server = opened.adopt(await startRedis(), (redis) => redis.stop());
  const s3 = opened.adopt(await startS3({ buckets: ['documents'] }), (s3) => s3.stop());
  const kms = opened.adopt(await startKms({ stateFile }), (kms) => kms.stop());
  const settings: Settings = {
    ...awsSettings(s3, kms, 'documents', saved.settings.SEALDEX_PLATFORM_KEY_ARN),
    ...saved.settings,
    REDIS_URL: server.url,
    SEALDEX_AUDIT_LOG: join(folder, 'audit.jsonl'),
    SEALDEX_LOG_LEVEL: 'error',
    SEALDEX_PORT: 0,
  };
  const config = loadConfig(settings, {});
  const store = opened.adopt(createStore(config, 'patient'), (store) => store.close());
  for (const { key, metadata, base64 } of saved.objects)
    await store.put(key, Buffer.from(base64, 'base64'), { metadata });
  const redis = opened.adopt(await openRedis(config, 'patient'), closeRedis);
  const passedMs = Date.now() - saved.savedAt;
  for (const one of saved.redis) await write(redis, one, passedMs);
  const all = opened.move();
  return { settings, redis, kms, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Sorted sets by time: jobs would be parked or dead for too long by the time at which a test runs. */
const BY_TIME = /:parking:jobs|:letters|:failed$/;

async function write(redis: Redis, { key, type, value, lifeMs }: SavedKey, passedMs: number): Promise<void> {
  if (type === 'string') await redis.set(key, value[0] ?? '');
  if (type === 'list') await redis.rpush(key, ...value);
  if (type === 'set') await redis.sadd(key, ...value);
  if (type === 'hash')
    await redis.hset(key, ...value.map((text, at) => (value[at - 1] === 'parked' ? later(text, passedMs) : text)));
  if (type === 'zset') {
    const shift = BY_TIME.test(key) ? passedMs : 0;
    for (let at = 0; at < value.length; at += 2) await redis.zadd(key, Number(value[at + 1]) + shift, value[at] ?? '');
  }
  if (lifeMs !== undefined) await redis.pexpire(key, lifeMs);
}

/** The parked note of a job: `<code> <since> <count> <gate>`. */
const later = (note: string, passedMs: number): string =>
  note.replace(/ (\d+) /, (_, since: string) => ` ${Number(since) + passedMs} `);
