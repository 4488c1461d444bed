// One combination of the matrix: a job with content of the period before, met by a process whose gate, key ring, KMS and
// store are as said. Everything is real but time; each combination has a tenant, a key and a queue name of its own.
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { noAudit } from '../../src/runtime/audit-log.ts';
import { openKeyAccess } from '../../src/app/key-access.ts';
import { periodAt } from '../../src/keys/data-key.ts';
import { createKms } from '../../src/keys/aws/kms-client.ts';
import type { Kms } from '../../src/keys/kms.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { GateRecord } from '../../src/parking/gate-record.ts';
import { readGate, replaceGate } from '../../src/parking/gate-storage.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { closeRedis, openRedis, redisKeys, type Redis } from '../../src/runtime/redis.ts';
import type { HandlerDeps } from '../../src/handlers/handle.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { openForge, type Forge, type Forged } from '../journey/forge.ts';
import { FakeClock } from '../support/clock.ts';
import type { TestServices } from '../support/services.ts';
import { openWorkRoom, type WorkRoom } from './fixture.ts';

const HOUR_MS = 3_600_000;

/** What a fault meets. */
interface Target {
  readonly tenant: string;
  readonly keyArn: string;
  /** Of the job's content. */
  readonly period: string;
}

export interface Combination {
  readonly gate: 'open' | 'shut' | 'draining' | 'unknown';
  readonly ring: 'fresh' | 'expired' | 'none';
  readonly kms: (services: TestServices, target: Target) => unknown;
  /** Its faults meet all calls of a client for a while. */
  readonly slowsItsClient?: boolean;
  readonly store: (services: TestServices, target: Target) => unknown;
  readonly isCanaryGood: boolean;
}

export interface Seen {
  readonly outcome: Outcome;
  /** Tries that reached KMS for this key, by operation. */
  readonly kmsCalls: Record<string, number>;
  readonly jobs: Record<string, number>;
  readonly faults: Record<string, number>;
  readonly wipes: Record<string, number>;
  /** State and code of the gate after it. */
  readonly gate: string;
}

export interface Matrix extends AsyncDisposable {
  run(combination: Combination): Promise<Seen>;
}

export async function openMatrix(): Promise<Matrix> {
  await using opened = new AsyncDisposableStack();
  const room = opened.use(await openWorkRoom());
  const forge = opened.use(openForge(room.house, new FakeClock()));
  const { config } = room.deps;
  const redis = opened.adopt(await openRedis(config, 'patient'), closeRedis);
  const subscriber = opened.adopt(await openRedis(config, 'subscriber'), closeRedis);
  subscriber.setMaxListeners(0);
  const kms = opened.adopt(createKms(config, createMetrics(), noAudit, 'patient'), (kms) => kms.close());
  opened.defer(() => removeKeys(redis, `sealdex:{${config.queue}-*`));
  const all = opened.move();
  let count = 0;
  return {
    async run(combination) {
      const shared = { room, forge, redis, subscriber, kms };
      return runOne(shared, combination, `t${(count += 1)}`);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Shared {
  readonly room: WorkRoom;
  readonly forge: Forge;
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly kms: Kms;
}

async function runOne(
  { room, forge, redis, subscriber, kms }: Shared,
  combination: Combination,
  tenant: string,
): Promise<Seen> {
  await using opened = new AsyncDisposableStack();
  const { house, deps } = room;
  const { services } = house;
  const keyArn = services.kms.createKey();
  await deps.tenants.put(tenant, { plan: 'pro', kmsKeyArn: keyArn });
  const [earlier, job] = [await forge.forge({ tenant, keyArn }), await forge.forge({ tenant, keyArn })];
  const clock = new FakeClock();
  const target: Target = { tenant, keyArn, period: periodAt(tenant, clock.now()) };
  clock.advance(HOUR_MS);
  const config = { ...deps.config, queue: `${deps.config.queue}-${tenant}` };
  const metrics = createMetrics();
  const ofItsOwn = (): Kms =>
    opened.adopt(createKms(config, createMetrics(), noAudit, 'patient'), (client) => client.close());
  const client = combination.slowsItsClient ? ofItsOwn() : kms;
  const keyAccess = opened.adopt(
    await openKeyAccess({
      config,
      clock,
      metrics,
      redis,
      subscriber,
      kms: client,
      tenants: deps.tenants,
      use: 'patient',
      log: silentLog,
    }),
    (keyAccess) => keyAccess.stop(),
  );
  const gates: HandlerDeps['gates'] = keyAccess.gates;
  const handle = (one: Forged, canary = room.freshCanary()): Promise<Outcome> =>
    room.handle(one, { deps: { ring: keyAccess.ring, gates, metrics, canary } });

  if (combination.ring !== 'none' && (await handle(earlier)).kind !== 'done') throw new Error('No key is at hand.');
  if (combination.ring === 'expired') clock.advance(HOUR_MS);
  await putGate(redis, config.queue, combination.gate, { tenant, keyArn, now: clock.now() });
  await keyAccess.gates.tick();
  if (combination.gate === 'unknown') clock.skipMonotonic(6000);
  combination.kms(services, target);
  combination.store(services, target);

  const calls = (): [string, number][] =>
    ['GenerateDataKey', 'Decrypt'].map((operation) => [
      operation,
      services.kms.counts.count({ operation, key: keyArn }),
    ]);
  const before = { calls: calls(), jobs: await metrics.by('sealdex_jobs_total', 'outcome') };
  const outcome = await handle(job, async () => combination.isCanaryGood);
  const after = await readGate(redis, redisKeys(config.queue), gateId(keyRef(tenant, keyArn)));
  return {
    outcome,
    kmsCalls: Object.fromEntries(calls().map(([name, number], at) => [name, number - before.calls[at]![1]])),
    jobs: risen(before.jobs, await metrics.by('sealdex_jobs_total', 'outcome')),
    faults: await metrics.by('sealdex_faults_total', 'code'),
    wipes: await metrics.by('sealdex_key_wipes_total', 'reason'),
    gate: after.record ? `${after.record.state} ${after.record.code}` : 'none',
  };
}

/** A gate as other processes have left it; nobody has touched one that is open or unknown here. */
async function putGate(
  redis: Redis,
  queue: string,
  gate: Combination['gate'],
  { tenant, keyArn, now }: { tenant: string; keyArn: string; now: number },
): Promise<void> {
  if (gate === 'open' || gate === 'unknown') return;
  const times = { since: now, codeSince: now, probes: 0, goodProbes: 0, nextProbe: now + 30_000 };
  const record: GateRecord = {
    ...keyRef(tenant, keyArn),
    state: gate,
    code: 'KEY_PENDING_IMPORT',
    wasCurrent: true,
    ...times,
  };
  await replaceGate(redis, redisKeys(queue), gateId(record), 0, { record, isPublished: true });
}

function risen(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const rises = Object.entries(after).map(([name, value]): [string, number] => [name, value - (before[name] ?? 0)]);
  return Object.fromEntries(rises.filter(([, rise]) => rise > 0));
}

async function removeKeys(redis: Redis, match: string): Promise<void> {
  for await (const keys of redis.scanStream({ match, count: 1000 }) as AsyncIterable<string[]>) {
    if (keys.length > 0) await redis.unlink(...keys);
  }
}
