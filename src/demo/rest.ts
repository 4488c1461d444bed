// Shows a visitor every byte at rest: each Redis key of every type, each object of a bucket with name and metadata.
// Knows nothing of what is looked for.
import type { Redis } from '../runtime/redis.ts';
import type { Bucket } from './bucket.ts';

export type VisitBytes = (bytes: Buffer) => void;

const PAGE = 500;
const AT_ONCE = 16;

/** Every key of the database: its name and all that it holds. Answers how many keys there were. */
export async function visitRedis(redis: Redis, visit: VisitBytes, signal: AbortSignal): Promise<number> {
  // SCAN may name a key twice.
  const keys = new Map<string, Buffer>();
  await paged(async (cursor) => {
    const [next, page] = await redis.scanBuffer(cursor, 'COUNT', PAGE);
    for (const key of page) keys.set(key.toString('hex'), key);
    return next;
  }, signal);
  await atOnce([...keys.values()], async (key) => {
    visit(key);
    await visitValue(redis, key, visit, signal);
  });
  return keys.size;
}

async function visitValue(redis: Redis, key: Buffer, visit: VisitBytes, signal: AbortSignal): Promise<void> {
  const type = await redis.type(key);
  const all = (values: readonly Buffer[]): void => values.forEach((value) => visit(value));
  switch (type) {
    case 'none':
      return;
    case 'string':
      return all([(await redis.getBuffer(key)) ?? Buffer.alloc(0)]);
    case 'list':
      return visitList(redis, key, all, signal);
    case 'stream':
      return visitStream(redis, key, all, signal);
    case 'hash':
    case 'set':
    case 'zset':
      return paged(async (cursor) => {
        const [next, page] =
          type === 'hash'
            ? await redis.hscanBuffer(key, cursor, 'COUNT', PAGE)
            : type === 'set'
              ? await redis.sscanBuffer(key, cursor, 'COUNT', PAGE)
              : await redis.zscanBuffer(key, cursor, 'COUNT', PAGE);
        all(page);
        return next;
      }, signal);
    default:
      throw new Error(`Redis holds a key of the type ${type}, which the search cannot read.`);
  }
}

async function visitList(redis: Redis, key: Buffer, all: (values: readonly Buffer[]) => void, signal: AbortSignal) {
  for (let from = 0; ; from += PAGE) {
    signal.throwIfAborted();
    const page = await redis.lrangeBuffer(key, from, from + PAGE - 1);
    all(page);
    if (page.length < PAGE) return;
  }
}

async function visitStream(redis: Redis, key: Buffer, all: (values: readonly Buffer[]) => void, signal: AbortSignal) {
  for (let from = '-'; ;) {
    signal.throwIfAborted();
    const page = await redis.xrangeBuffer(key, from, '+', 'COUNT', PAGE);
    for (const [, fields] of page) all(fields);
    const last = page.at(-1)?.[0];
    if (last === undefined || page.length < PAGE) return;
    from = `(${last.toString()}`;
  }
}

async function paged(next: (cursor: string) => Promise<Buffer>, signal: AbortSignal): Promise<void> {
  let cursor = '0';
  do {
    signal.throwIfAborted();
    cursor = (await next(cursor)).toString();
  } while (cursor !== '0');
}

export interface BucketSize {
  readonly objects: number;
  /** Of the bodies. */
  readonly bytes: number;
}

/** Every object of the bucket: its name, its headers with the metadata, its body. */
export async function visitBucket(bucket: Bucket, visit: VisitBytes, signal: AbortSignal): Promise<BucketSize> {
  const keys = await Array.fromAsync(bucket.keys(signal));
  let bytes = 0;
  let objects = 0;
  await atOnce(keys, async (key) => {
    visit(Buffer.from(key));
    const object = await bucket.get(key, signal);
    if (!object) return;
    visit(Buffer.from(object.headers));
    visit(object.body);
    objects += 1;
    bytes += object.body.length;
  });
  return { objects, bytes };
}

async function atOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += AT_ONCE) {
    await Promise.all(items.slice(from, from + AT_ONCE).map(work));
  }
}
