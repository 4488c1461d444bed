// A complete installation for a test: services, tenants, producer, reader, operator, and access to its queue.
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createOperator, createProducer, createReader } from '../../src/app/app.ts';
import { loadConfig, type Settings } from '../../src/runtime/config.ts';
import type { Operator } from '../../src/operator/operator.ts';
import type { Producer } from '../../src/producer/producer.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { unhurried } from '../support/unhurried.ts';
import { testServices, type TestServices } from '../support/services.ts';

export interface Installation extends AsyncDisposable {
  readonly settings: Settings;
  readonly services: TestServices;
  readonly producer: Producer;
  readonly reader: Reader;
  readonly operator: Operator;
  readonly store: Store;
  readonly redis: Redis;
  /** BullMQ itself, for jobs added without the producer. */
  readonly queue: Queue;
  /** A reader without a cached data key. */
  freshReader(): Promise<Reader>;
  /** Creates a tenant with its own KMS key; returns the key's ARN. */
  tenant(name: string): Promise<string>;
  /** The outcome of the job, once it has one: `done`, `superseded`, or `dead` and a code. */
  end(jobId: string): Promise<string>;
  /** Resolves when no job waits, runs or is delayed. */
  empty(): Promise<void>;
}

/** `extra` overrides the settings of the services, such as a separate Redis. */
export async function openInstallation(extra: Settings = {}): Promise<Installation> {
  await using opened = new AsyncDisposableStack();
  const services = opened.use(await testServices());
  const settings: Settings = { SEALDEX_LOG_LEVEL: 'info', SEALDEX_PORT: 0, ...services.settings, ...extra };
  const operator = opened.use(await createOperator(settings));
  const producer = opened.use(await createProducer(settings));
  const reader = opened.use(await createReader(settings));
  const config = loadConfig(settings, {});
  const store = opened.adopt(createStore(config, 'patient'), (store) => store.close());
  const redis = opened.adopt(new Redis(config.redisUrl, { maxRetriesPerRequest: null }), (redis) => redis.disconnect());
  redis.on('error', () => {});
  const queue = opened.adopt(
    new Queue('index', { connection: redis, prefix: redisKeys(config.queue).prefix }),
    (queue) => queue.close(),
  );
  queue.on('error', () => {});
  const all = opened.move();
  return {
    settings,
    services,
    producer,
    reader,
    operator,
    store: unhurried(store),
    redis,
    queue,
    freshReader: () => createReader(settings),
    async tenant(name) {
      const kmsKeyArn = services.kms.createKey();
      await operator.putTenant(name, { plan: 'pro', kmsKeyArn });
      return kmsKeyArn;
    },
    end: (jobId) =>
      eventually(async () => {
        const { state, code } = await producer.status(jobId);
        return ['done', 'superseded', 'dead'].includes(state) ? [state, code].join(' ').trim() : undefined;
      }),
    async empty() {
      await eventually(async () => {
        const { waiting, active, delayed } = (await operator.status()).index;
        return waiting + active + delayed === 0;
      });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** All text of a stored document without white space, so that the limits of its parts do not matter. */
export async function textOf(reader: Reader, tenant: string, corpus: string, id: string): Promise<string> {
  const { parts } = await reader.open({ tenant, corpus, id });
  const texts: string[] = [];
  for await (const part of parts) if ('text' in part) texts.push(part.text);
  return squeezed(texts.join(''));
}

export const squeezed = (text: string): string => text.replaceAll(/\s/g, '');

/** The lines of /metrics that begin with this name, as name and value. */
export async function metricsOf(port: number, name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}
