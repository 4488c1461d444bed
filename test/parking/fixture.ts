// The gates of several processes: each has its own view and its own probe, on one Redis and one KMS in memory. The clock
// does not advance and no loop runs until a test triggers it.
import { randomBytes } from 'node:crypto';
import { gateId, keyRef, type KeyRef } from '../../src/runtime/key-ref.ts';
import { loadConfig, type Config } from '../../src/runtime/config.ts';
import { tryKey } from '../../src/keys/try-key.ts';
import type { Log } from '../../src/runtime/log.ts';
import { createMetrics, type Metrics } from '../../src/runtime/metrics.ts';
import { openGates, type GateOwner, type Gates } from '../../src/parking/gate.ts';
import { startProbe, type Probe, type ProbingDeps, type ProbeDeps } from '../../src/parking/probe.ts';
import type { Gate, GateRecord } from '../../src/parking/gate-record.ts';
import { readGate, replaceGate } from '../../src/parking/gate-storage.ts';
import { closeRedis, openRedis, redisKeys, type Redis, type RedisKeys } from '../../src/runtime/redis.ts';
import { FakeClock } from '../support/clock.ts';
import { MemoryKms } from '../support/memory-kms.ts';
import { removeKeys, testRedisUrl } from '../support/redis.ts';

export interface Process {
  readonly gates: Gates;
  readonly probe: Probe;
  readonly probing: ProbingDeps;
  readonly metrics: Metrics;
  /** The gates closed for this process. */
  readonly closed: readonly GateRecord[];
  /** Writes any record without the state machine, like another process, if the gate has this epoch; then polls. */
  write(seenEpoch: number, record: GateRecord): Promise<boolean>;
  /** It receives no messages from now on. */
  unsubscribe(): Promise<void>;
  /** Reads all gates, then runs due probes. */
  tick(): Promise<void>;
}

interface ProcessOptions extends Partial<ProbeDeps> {
  /** A replacement for this process' connection to Redis. */
  readonly through?: (redis: Redis) => Redis;
}

export interface ParkingFixture extends AsyncDisposable {
  readonly config: Config;
  readonly keys: RedisKeys;
  readonly redis: Redis;
  readonly clock: FakeClock;
  readonly kms: MemoryKms;
  readonly platformKeyArn: string;
  /** The content of the tenants' files. */
  readonly owners: Map<string, GateOwner>;
  /** The log lines of all processes. */
  readonly lines: { readonly level: string; readonly facts: object; readonly message: string }[];
  process(options?: ProcessOptions): Promise<Process>;
  /** A tenant with its own KMS key. */
  tenant(name: string): string;
  record(tenant: string, keyArn: string, change?: Partial<GateRecord>): GateRecord;
  /** The gate in Redis. */
  gate(tenant: string, keyArn: string): Promise<Gate>;
  /** Moves only the wall clock, without timers. */
  later(ms: number): void;
}

export async function openParkingFixture(): Promise<ParkingFixture> {
  await using opened = new AsyncDisposableStack();
  const kms = new MemoryKms();
  const config = loadConfig(
    {
      REDIS_URL: testRedisUrl(),
      SEALDEX_QUEUE: `t-${randomBytes(6).toString('hex')}`,
      SEALDEX_BUCKET: 'no-bucket',
      SEALDEX_PLATFORM_KEY_ARN: kms.platformKeyArn,
      AWS_REGION: 'us-west-2',
    },
    {},
  );
  opened.defer(() => removeKeys(config.redisUrl, `sealdex:{${config.queue}}`));
  const keys = redisKeys(config.queue);
  const clock = new FakeClock();
  const redis = opened.adopt(await openRedis(config, 'patient'), closeRedis);
  const owners = new Map<string, GateOwner>();
  const lines: ParkingFixture['lines'] = [];
  const all = opened.move();
  return {
    config,
    keys,
    redis,
    clock,
    kms,
    platformKeyArn: config.platformKeyArn,
    owners,
    lines,
    process: (options = {}) =>
      openProcess({ config, kms, keys, clock, owners, log: logInto(lines), opened: all }, options),
    tenant(name) {
      const keyArn = kms.createKey();
      owners.set(name, keyRef(name, keyArn));
      return keyArn;
    },
    record: (tenant, keyArn, change = {}) => ({
      ...keyRef(tenant, keyArn),
      state: 'shut',
      code: 'KEY_DISABLED',
      since: clock.now(),
      codeSince: clock.now(),
      wasCurrent: true,
      probes: 0,
      goodProbes: 0,
      nextProbe: clock.now() + config.probeMinMs,
      ...change,
    }),
    gate: (tenant, keyArn) => readGate(redis, keys, gateId(keyRef(tenant, keyArn))),
    later: (ms) => clock.setWall(clock.now() + ms),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Shared {
  readonly config: Config;
  readonly kms: MemoryKms;
  readonly keys: RedisKeys;
  readonly clock: FakeClock;
  readonly owners: Map<string, GateOwner>;
  readonly log: Log;
  readonly opened: AsyncDisposableStack;
}

async function openProcess(
  { config, kms: fixture, keys, clock, owners, log, opened }: Shared,
  { through = (redis) => redis, ...deps }: ProcessOptions,
): Promise<Process> {
  const redis = through(opened.adopt(await openRedis(config, 'patient'), closeRedis));
  const subscriber = opened.adopt(await openRedis(config, 'subscriber'), closeRedis);
  const metrics = createMetrics();
  const kms = opened.adopt(fixture.connect(), (client) => client.close());
  const closed: GateRecord[] = [];
  const gates = opened.adopt(await openGates({ redis, subscriber, keys, clock, times: config, log }), (gates) =>
    gates.stop(),
  );
  gates.onClosed((gate) => void closed.push(gate));
  const tried = (key: KeyRef): Promise<void> => tryKey({ kms, clock }, key, 'documents');
  const ownerOf = async (tenant: string): Promise<GateOwner | undefined> => owners.get(tenant);
  const probing: ProbingDeps = {
    gates,
    redis,
    keys,
    clock,
    metrics,
    times: config,
    ownerOf,
    operatorStopOf: async ({ tenant }) => owners.get(tenant)?.operatorStop,
    tryKey: tried,
    platformKeyWorks: () =>
      tried(keyRef('-', config.platformKeyArn)).then(
        () => true,
        () => false,
      ),
  };
  const probe = opened.adopt(
    startProbe({
      ...probing,
      release: (_, shouldContinue) => shouldContinue(),
      expire: async () => {},
      ...deps,
    }),
    (probe) => probe.stop(),
  );
  return {
    gates,
    probe,
    probing,
    metrics,
    closed,
    async write(seenEpoch, record) {
      const id = gateId(record);
      const { isDone } = await replaceGate(redis, keys, id, seenEpoch, { record, isPublished: true });
      await gates.tick();
      return isDone;
    },
    unsubscribe: async () => void (await subscriber.unsubscribe(keys.gateChanged)),
    async tick() {
      await gates.tick();
      await probe.tick();
    },
  };
}

function logInto(lines: ParkingFixture['lines']): Log {
  const at =
    (level: string) =>
    (facts: object, message: string): void =>
      void lines.push({ level, facts, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
