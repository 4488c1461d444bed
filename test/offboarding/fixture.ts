// An installation with a tenant to delete and one with a similar name, and all data that names the tenant.
import { openResources } from '../../src/app/resources.ts';
import { systemClock, type Clock } from '../../src/runtime/clock.ts';
import type { DeleteDeps } from '../../src/offboarding/delete.ts';
import type { Redis } from '../../src/runtime/redis.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import type { Store } from '../../src/store/store.ts';
import { openInstallation, type Installation } from '../journey/installation.ts';
import { documentOf } from '../support/documents.ts';

export const LEAVER = 'leaver';
/** Its prefixes begin with those of the other except for the slash. */
export const STAYER = 'leaver2';

/** The name itself, not as a part of another one. */
const NAMED = /(?<![a-zA-Z0-9_=-])leaver(?![a-zA-Z0-9_=-])/;

/** The system clock, with timers that fire at once. */
const hurried: Clock = {
  ...systemClock,
  after(_ms, fn) {
    const turn = setImmediate(fn);
    return { cancel: () => clearImmediate(turn) };
  },
};

export interface OffboardingFixture extends AsyncDisposable {
  readonly installation: Installation;
  readonly deps: DeleteDeps;
  /** Documents of both tenants and of two corpora, stored by a running worker. */
  fill(documents: number): Promise<void>;
}

export async function openOffboardingFixture(): Promise<OffboardingFixture> {
  await using opened = new AsyncDisposableStack();
  const installation = opened.use(await openInstallation());
  const deps = await openResources(installation.settings, 'patient', (resources, stack) => {
    opened.defer(() => stack.release());
    const keys = redisKeys(resources.config.queue);
    return Promise.resolve({ ...resources, keys, gates: resources.keyAccess.gates, clock: hurried });
  });
  const all = opened.move();
  return {
    installation,
    deps,
    async fill(documents) {
      const requests = [LEAVER, STAYER].flatMap((tenant) =>
        Array.from({ length: documents }, (_, at) => ({
          tenant,
          corpus: at % 2 === 0 ? 'docs' : 'more',
          document: documentOf(`document-${at}`, `Text ${at} of ${tenant}.`),
        })),
      );
      for (const queued of await installation.producer.enqueueIndexBulk(requests))
        if (queued instanceof Error) throw queued;
      await installation.empty();
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** All keys and values of the installation queue that name the tenant, as `key: where`. */
export async function namesInRedis(redis: Redis, queue: string): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of redis.scanStream({ match: `sealdex:{${queue}}*`, count: 1000 }) as AsyncIterable<string[]>)
    for (const key of keys) {
      if (NAMED.test(key)) found.push(key);
      else if (NAMED.test(JSON.stringify(await valueOf(redis, key)))) found.push(`${key}: its value`);
    }
  return found;
}

async function valueOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      return undefined;
  }
}

/** All objects, versions and unfinished uploads of the bucket that name the tenant. */
export async function namesInStore(store: Store): Promise<string[]> {
  const objects = (await store.list('')).objects.map(({ key }) => key);
  const versions = (await store.listVersions('')).versions.map(({ key }) => key);
  const uploads = (await store.listUploads('')).uploads.map(({ key }) => key);
  return [...new Set([...objects, ...versions, ...uploads])].filter((key) => NAMED.test(key));
}
