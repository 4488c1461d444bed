// The scene of producer, reader and operator tests: separate services, tenants, and access to Redis and S3.
import { Redis } from 'ioredis';
import { createOperator, createProducer, createReader, startWorker, type Settings } from '../../src/app/app.ts';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { SealdexError, type Code } from '../../src/runtime/errors.ts';
import type { Operator } from '../../src/operator/operator.ts';
import type { EnqueueResult, JobStatus, Producer } from '../../src/producer/producer.ts';
import type { Reader } from '../../src/reader/reader.ts';
import { createStore } from '../../src/store/s3/s3-store.ts';
import { readAll, type Store } from '../../src/store/store.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';

export interface Scene extends AsyncDisposable {
  readonly services: TestServices;
  readonly settings: Settings;
  readonly config: Config;
  readonly redis: Redis;
  readonly store: Store;
  readonly operator: Operator;
  /** Creates a tenant with its own KMS key and returns the key's ARN. */
  tenant(name: string): Promise<string>;
  producer(settings?: Settings): Promise<Producer>;
  reader(settings?: Settings): Promise<Reader>;
  /** Runs a worker until the returned function is called, or the scene ends. */
  work(): Promise<() => Promise<void>>;
  keysOf(prefix: string): Promise<string[]>;
  /** Jobs in BullMQ, by their hash. */
  jobs(): Promise<string[]>;
}

/** `over` overrides the settings of the test's services. */
export async function openScene(over: Settings = {}): Promise<Scene> {
  const services = await testServices();
  const settings: Settings = { SEALDEX_PORT: 0, SEALDEX_LOG_LEVEL: 'silent', ...services.settings, ...over };
  const config = loadConfig(settings, {});
  const redis = new Redis(config.redisUrl);
  const store = createStore(config, 'patient');
  const operator = await createOperator(settings);
  const opened: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(one: T): T => (opened.push(one), one);
  const root = `sealdex:{${config.queue}}`;
  return {
    services,
    settings,
    config,
    redis,
    store,
    operator,
    async tenant(name) {
      const kmsKeyArn = services.kms.createKey();
      await operator.putTenant(name, { plan: 'pro', kmsKeyArn });
      return kmsKeyArn;
    },
    producer: async (own = {}) => keep(await createProducer({ ...settings, ...own })),
    reader: async (own = {}) => keep(await createReader({ ...settings, ...own })),
    async work() {
      const worker = keep(await startWorker(settings, { host: '127.0.0.1' }));
      return async () => void (await worker.stop());
    },
    async keysOf(prefix) {
      const { objects } = await store.list(prefix);
      return objects.map(({ key }) => key);
    },
    async jobs() {
      const keys = await redis.keys(`${root}:index:j*`);
      return keys
        .map((key) => key.slice(`${root}:index:`.length))
        .filter((id) => /^j[0-9a-f]{32}$/.test(id))
        .toSorted();
    },
    async [Symbol.asyncDispose]() {
      for (const one of opened.toReversed()) await one[Symbol.asyncDispose]();
      await operator[Symbol.asyncDispose]();
      store.close();
      redis.disconnect();
      await services[Symbol.asyncDispose]();
    },
  };
}

/** A structured document of about `chars` characters. */
export const documentOf = (id: string, chars = 100, more: object = {}): object => ({
  type: 'structured',
  id,
  title: `Title of ${id}`,
  metadata: { of: id },
  sections: [{ text: 'It is so. '.repeat(Math.ceil(chars / 10)) }],
  ...more,
});

/** The error of a rejected call; the test fails for none or another one. */
export async function refusalOf(work: () => Promise<unknown>): Promise<SealdexError> {
  const error = await work().then(
    (answer: unknown) => new Error(`nothing was refused: ${JSON.stringify(answer)}`),
    (refused: unknown) => refused,
  );
  if (error instanceof SealdexError) return error;
  throw error;
}

export const codeOf = async (work: () => Promise<unknown>): Promise<Code> => (await refusalOf(work)).code;

/** The results of a bulk, each as a result or an error. */
export function resultOf(result: EnqueueResult | SealdexError | undefined): EnqueueResult {
  if (result === undefined || result instanceof SealdexError) throw result ?? new Error('there is no such result');
  return result;
}

/** Waits for a job to reach one of the states, `done` by default. */
export const ended = (producer: Producer, jobId: string, ...states: JobStatus['state'][]): Promise<JobStatus> =>
  eventually(async () => {
    const status = await producer.status(jobId);
    return (states.length === 0 ? ['done'] : states).includes(status.state) && status;
  });

/** The metadata and bytes of an object. */
export async function objectAt(
  store: Store,
  key: string,
): Promise<{ metadata: Record<string, string>; bytes: Buffer }> {
  const stored = await store.get(key);
  if (!stored) throw new Error('there is no such object');
  return { metadata: { ...stored.metadata }, bytes: await readAll(stored) };
}
