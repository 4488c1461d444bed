// One combination of the matrix: a job with content of the previous period, run by a process with its gate, key ring, KMS
// and store in the given states. Gates are in Redis, KMS and store are doubles. Each combination has its own tenant, key and
// queue.
import { randomBytes } from 'node:crypto';
import { gateId, keyRef } from '../../src/runtime/key-ref.ts';
import { openKeyAccess } from '../../src/app/key-access.ts';
import { periodAt } from '../../src/keys/data-key.ts';
import type { Kms } from '../../src/keys/kms.ts';
import type { Config } from '../../src/runtime/config.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { GateRecord } from '../../src/parking/gate-record.ts';
import { readGate, replaceGate } from '../../src/parking/gate-storage.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { closeRedis, openRedis, redisKeys, type Redis } from '../../src/runtime/redis.ts';
import type { HandlerDeps } from '../../src/handlers/handle.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { FakeClock } from '../support/clock.ts';
import type { Forged } from '../support/forge.ts';
import { removeKeys, testRedisUrl } from '../support/redis.ts';
import { openHandlerFixture, type HandlerFixture } from './fixture.ts';

const HOUR_MS = 3_600_000;

/** Only calls that hang take that long. */
const KMS_DEADLINE_MS = 100;

/** The services with the state and errors of a row. */
type Services = Pick<HandlerFixture, 'bucket' | 'kms'>;

/** The calls affected by an injected error. */
interface Target {
  readonly tenant: string;
  readonly keyArn: string;
  /** Context of the job's content. */
  readonly period: string;
}

export interface Combination {
  readonly gate: 'open' | 'shut' | 'draining' | 'unknown';
  readonly ring: 'fresh' | 'expired' | 'none';
  readonly kms: (services: Services, target: Target) => unknown;
  readonly store: (services: Services, target: Target) => unknown;
  readonly isCanaryGood: boolean;
}

export interface Seen {
  readonly outcome: Outcome;
  /** Calls that reached KMS for this key, by operation. */
  readonly kmsCalls: Record<string, number>;
  readonly jobs: Record<string, number>;
  readonly faults: Record<string, number>;
  readonly wipes: Record<string, number>;
  /** State and code of the gate afterwards. */
  readonly gate: string;
}

export interface Matrix extends AsyncDisposable {
  run(combination: Combination): Promise<Seen>;
}

export async function openMatrix(): Promise<Matrix> {
  await using opened = new AsyncDisposableStack();
  const fixture = opened.use(await openHandlerFixture({ kmsDeadlineMs: KMS_DEADLINE_MS, forgeClock: new FakeClock() }));
  const config = { ...fixture.deps.config, redisUrl: testRedisUrl(), queue: `t-${randomBytes(6).toString('hex')}` };
  opened.defer(() => removeKeys(config.redisUrl, `sealdex:{${config.queue}-`));
  const redis = opened.adopt(await openRedis(config, 'patient'), closeRedis);
  const subscriber = opened.adopt(await openRedis(config, 'subscriber'), closeRedis);
  subscriber.setMaxListeners(0);
  const kms = opened.adopt(fixture.kms.connect(), (kms) => kms.close());
  const all = opened.move();
  let count = 0;
  return {
    async run(combination) {
      return runOne({ fixture, config, redis, subscriber, kms }, combination, `t${(count += 1)}`);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

interface Shared {
  readonly fixture: HandlerFixture;
  readonly config: Config;
  readonly redis: Redis;
  readonly subscriber: Redis;
  readonly kms: Kms;
}

async function runOne(
  { fixture, config: base, redis, subscriber, kms }: Shared,
  combination: Combination,
  tenant: string,
): Promise<Seen> {
  await using opened = new AsyncDisposableStack();
  const keyArn = await fixture.tenant(tenant);
  const [earlier, job] = [await fixture.forge({ tenant, keyArn }), await fixture.forge({ tenant, keyArn })];
  const clock = new FakeClock();
  const target: Target = { tenant, keyArn, period: periodAt(tenant, clock.now()) };
  clock.advance(HOUR_MS);
  const config = { ...base, queue: `${base.queue}-${tenant}` };
  const metrics = createMetrics();
  const keyAccess = opened.adopt(
    await openKeyAccess({
      config,
      clock,
      metrics,
      redis,
      subscriber,
      kms,
      tenants: fixture.deps.tenants,
      use: 'patient',
      log: silentLog,
    }),
    (keyAccess) => keyAccess.stop(),
  );
  const gates: HandlerDeps['gates'] = keyAccess.gates;
  const handle = (one: Forged, canary = fixture.freshCanary()): Promise<Outcome> =>
    fixture.handle(one, { deps: { ring: keyAccess.ring, gates, metrics, canary } });

  if (combination.ring !== 'none' && (await handle(earlier)).kind !== 'done') throw new Error('No key is at hand.');
  if (combination.ring === 'expired') clock.advance(HOUR_MS);
  await putGate(redis, config.queue, combination.gate, { tenant, keyArn, now: clock.now() });
  await keyAccess.gates.tick();
  if (combination.gate === 'unknown') clock.skipMonotonic(6000);
  combination.kms(fixture, target);
  combination.store(fixture, target);

  const calls = (): [string, number][] =>
    (['GenerateDataKey', 'Decrypt'] as const).map((operation) => [
      operation,
      fixture.kms.counts.count({ operation, key: keyArn }),
    ]);
  const before = { calls: calls(), jobs: await metrics.by('sealdex_jobs_total', 'outcome') };
  const outcome = await handle(job, async () => combination.isCanaryGood);
  const after = await readGate(redis, redisKeys(config.queue), gateId(keyRef(tenant, keyArn)));
  return {
    outcome,
    kmsCalls: Object.fromEntries(calls().map(([name, number], at) => [name, number - before.calls[at]![1]])),
    jobs: risen(before.jobs, await metrics.by('sealdex_jobs_total', 'outcome')),
    faults: await metrics.by('sealdex_job_failures_total', 'code'),
    wipes: await metrics.by('sealdex_key_wipes_total', 'reason'),
    gate: after.record ? `${after.record.state} ${after.record.code}` : 'none',
  };
}

/** A gate as left by other processes. An open or unknown one has no record. */
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
