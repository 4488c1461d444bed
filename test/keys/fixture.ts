// Key rings as processes have them: the real SDK to a local KMS, real Redis, and a clock that the test moves.
import type { Redis } from 'ioredis';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { loadConfig, type Config, type Settings } from '../../src/runtime/config.ts';
import { periodAt, type DataKey, type KeyContext } from '../../src/keys/data-key.ts';
import { KeyRing, type KeyRingDeps } from '../../src/keys/key-ring.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { createSharedKeys, type SharedKeys } from '../../src/keys/shared-keys.ts';
import { createMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { closeRedis, openRedis } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { testServices, type TestServices } from '../support/services.ts';

export interface OneRing {
  readonly ring: KeyRing;
  readonly kms: Kms;
  readonly metrics: Metrics;
  readonly redis: Redis;
  readonly shared: SharedKeys;
  /** The very buffers that KMS' plaintext keys were put into, in the order of the answers. */
  readonly plaintexts: readonly Buffer[];
}

export interface Room extends AsyncDisposable {
  readonly settings: Settings;
  readonly config: Config;
  readonly kms: TestServices['kms'];
  /** A ring with connections of its own, as another process would have it. */
  open(options?: RingOptions): Promise<OneRing>;
  /** A tenant that no other test uses, with a KMS key of its own. */
  tenant(): { readonly tenant: string; readonly arn: string };
}

export type RingOptions = Partial<Pick<KeyRingDeps, 'use' | 'limits' | 'maxKeys' | 'watch' | 'onUse' | 'onWipe'>> & {
  readonly clock?: FakeClock;
  /** Another way to the same Redis. */
  readonly redisUrl?: string;
  /** Instead of the SDK and the room's KMS. */
  readonly kms?: Kms;
};

export const HOUR_MS = 3_600_000;

/** Use it with `await using`, or dispose of it at the end of the file. */
export async function openRoom(): Promise<Room> {
  const services = await testServices();
  const config = loadConfig(services.settings, {});
  const closers: (() => void)[] = [];
  let tenants = 0;
  return {
    settings: services.settings,
    config,
    kms: services.kms,
    async open(options = {}) {
      const opened = await openRing(config, options);
      closers.push(() => {
        opened.ring.close();
        opened.kms.close();
        closeRedis(opened.redis);
      });
      return opened;
    },
    tenant() {
      tenants += 1;
      return { tenant: `tenant-${tenants}`, arn: services.kms.createKey() };
    },
    async [Symbol.asyncDispose]() {
      services.kms.faults.clear();
      for (const close of closers) close();
      await services[Symbol.asyncDispose]();
    },
  };
}

async function openRing(config: Config, options: RingOptions): Promise<OneRing> {
  const { use = 'patient', clock = new FakeClock(), redisUrl = config.redisUrl, ...more } = options;
  const metrics = createMetrics();
  const redis = await openRedis({ redisUrl }, use);
  const shared = createSharedKeys(redis, config.queue, clock);
  const plaintexts: Buffer[] = [];
  const kms = watched(options.kms ?? createKms(config, metrics, noAudit, use), plaintexts);
  return { ring: new KeyRing({ clock, shared, use, ...more, kms }), kms, metrics, redis, shared, plaintexts };
}

function watched(kms: Kms, plaintexts: Buffer[]): Kms {
  const seen = (plaintext: Buffer): Buffer => (plaintexts.push(plaintext), plaintext);
  return {
    async generateDataKey(arn, context) {
      const made = await kms.generateDataKey(arn, context);
      seen(made.plaintext);
      return made;
    },
    decrypt: async (arn, wrapped, context) => seen(await kms.decrypt(arn, wrapped, context)),
    close: () => kms.close(),
  };
}

/** The result of work that waits for the clock: moves it in small steps until the work is over. */
export async function moving<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  work.then(over, over);
  await eventually(() => (clock.advance(10), isOver), { timeoutMs: 30_000 });
  return work;
}

/** The bytes that the key holds, as they are now and as they become. */
export const bytesOf = (key: DataKey): Uint8Array => key.use((plaintext) => plaintext);

export const isZeroed = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** The context of a tenant's documents in the period in which a FakeClock begins. */
export const contextOf = (tenant: string): KeyContext => ({
  tenant,
  period: periodAt(tenant, new FakeClock().now()),
  purpose: 'documents',
});
