// Bench of parking: one worker process parks and releases 50,000 jobs of one tenant, while documents of other tenants flow.
// Run: node bench/parking.ts [JOBS]. Services, worker and bench share the machine; only ratios of one run are meaningful.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, createReader, type Producer, type Settings } from '../src/app/app.ts';
import { gateId, keyRef } from '../src/runtime/key-ref.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import { startServices } from '../src/cli/dev/local-services.ts';
import { closeRedis, openRedis, queueKeys, redisKeys } from '../src/runtime/redis.ts';

const [jobs = 50_000] = process.argv.slice(2).map(Number);
const TEXT = 'The quick brown fox jumps over the lazy dog near the river bank on a bright morning. '.repeat(12);
const BULK = 500;
const OTHERS = ['other-1', 'other-2', 'other-3'];

const services = await startServices();
const settings: Settings = { ...services.settings, SEALDEX_PROBE_MIN_MS: 2000, SEALDEX_PROBE_MAX_MS: 6000 };
const keys = queueKeys(redisKeys('main'), 'index');
const redis = await openRedis({ redisUrl: services.redis.url }, 'patient');
const operator = await createOperator(settings);
const producer = await createProducer(settings);
const keyArn = services.kms.createKey();
const index = keys.parked(gateId(keyRef('big', keyArn)));
await operator.putTenant('big', { plan: 'pro', kmsKeyArn: keyArn });
for (const tenant of OTHERS) await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: services.kms.createKey() });

const seconds = (since: number): number => (systemClock.monotonic() - since) / 1000;
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const usedMemory = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);

function startWorker(): ChildProcess {
  const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
  return spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
    env: { ...process.env, ...env, SEALDEX_PORT: '0', SEALDEX_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

async function stopWorker(worker: ChildProcess): Promise<void> {
  worker.kill('SIGTERM');
  await once(worker, 'close');
}

/** Sends every tenth document twice: the later revision must win. Returns the last revision of each document. */
async function enqueue(count: number, from: number): Promise<Map<string, number>> {
  const last = new Map<string, number>();
  for (let sent = 0; sent < count; sent += BULK) {
    const ids = Array.from({ length: Math.min(BULK, count - sent) }, (_, at) => {
      const number = from + sent + at;
      return `doc ${number % 10 === 9 ? number - 1 : number}`;
    });
    const requests = ids.map((id) => ({
      tenant: 'big',
      corpus: 'bench',
      document: { type: 'core', id, document_parts: [{ text: TEXT.slice(0, 1024) }] },
    }));
    for (const [at, result] of (await producer.enqueueIndexBulk(requests)).entries()) {
      if (result instanceof Error) throw result;
      last.set(ids[at] ?? '', Math.max(last.get(ids[at] ?? '') ?? 0, result.revision));
    }
  }
  return last;
}

/** Sends documents of another tenant at intervals, and records how long each takes. */
function watchOthers(sender: Producer): { take(): number[]; stop(): Promise<void> } {
  let latencies: number[] = [];
  const ending = new AbortController();
  const isOn = (): boolean => !ending.signal.aborted;
  const one = async (tenant: string, id: string): Promise<void> => {
    const document = { type: 'core', id, document_parts: [{ text: TEXT.slice(0, 1024) }] };
    const begun = systemClock.monotonic();
    const { jobId } = await sender.enqueueIndex({ tenant, corpus: 'bench', document });
    while (isOn() && (await sender.status(jobId)).state !== 'done') await sleep(systemClock, 5);
    if (isOn()) latencies.push(systemClock.monotonic() - begun);
  };
  const loops = OTHERS.map(async (tenant) => {
    for (let number = 0; isOn(); number++) {
      await one(tenant, `doc ${number}`);
      await sleep(systemClock, 50);
    }
  });
  return {
    take() {
      const taken = latencies;
      latencies = [];
      return taken;
    },
    async stop() {
      ending.abort();
      await Promise.all(loops);
    },
  };
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(systemClock, 5);
}

const waiting = async (): Promise<number> => {
  const { waiting, active, delayed } = (await operator.status()).index;
  return waiting + active + delayed;
};

try {
  // Baseline: the same flow without a fault.
  const before = await enqueue(4000, 0);
  let worker = startWorker();
  const others = watchOthers(await createProducer(settings));
  await until(async () => (await waiting()) < 3500);
  others.take();
  await until(async () => (await waiting()) < 200);
  const calm = median(others.take());
  await until(async () => (await waiting()) <= OTHERS.length);

  // One job shuts the gate, the others find it shut. The worker is stopped while they are added, so that only parking is measured.
  services.kms.disable(keyArn);
  await redis.del(...(await redis.keys(`${keys.prefix}:keys:documents:big:*`)));
  await stopWorker(worker);
  const memoryBefore = await usedMemory();
  const parked = await enqueue(jobs, 10_000);
  worker = startWorker();
  await until(async () => (await redis.zcard(index)) > 100);
  others.take();
  let begun = systemClock.monotonic();
  const first = await redis.zcard(index);
  await until(async () => (await redis.zcard(index)) >= jobs);
  const parkRate = (jobs - first) / seconds(begun);
  const memory = ((await usedMemory()) - memoryBefore) / jobs;
  await sleep(systemClock, 5000);
  const during = median(others.take());

  services.kms.enable(keyArn);
  others.take();
  await until(async () => (await redis.zcard(index)) < jobs - 5);
  begun = systemClock.monotonic();
  const left = await redis.zcard(index);
  await until(async () => (await redis.zcard(index)) === 0);
  const releaseRate = left / seconds(begun);
  await until(async () => (await waiting()) <= OTHERS.length);
  const drain = median(others.take());
  await others.stop();
  await stopWorker(worker);

  const reader = await createReader(settings);
  let lost = 0;
  let old = 0;
  const revisions = new Map([...before, ...parked]);
  const ids = [...revisions.keys()];
  for (let at = 0; at < ids.length; at += 16) {
    await Promise.all(
      ids.slice(at, at + 16).map(async (id) => {
        const head = await reader.metadata({ tenant: 'big', corpus: 'bench', id }).catch(() => undefined);
        if (!head) lost += 1;
        else if (head.revision !== revisions.get(id)) old += 1;
      }),
    );
  }
  await reader[Symbol.asyncDispose]();
  console.log(
    `parked ${parkRate.toFixed(0)} jobs/s (wanted: 4,000), released ${releaseRate.toFixed(0)} jobs/s (5,000)`,
  );
  console.log(`Redis memory per parked job of a 1 KB document: ${memory.toFixed(0)} bytes (under 4,608)`);
  console.log(
    `others' median latency: ${calm.toFixed(0)} ms before under load, ${during.toFixed(0)} ms in the outage (${(during / calm).toFixed(2)}), ${drain.toFixed(0)} ms in the drain (${(drain / calm).toFixed(2)}; wanted: 1.3)`,
  );
  console.log(`of ${ids.length} documents ${lost} lost, ${old} with a lower revision`);
  if (lost + old > 0) process.exitCode = 1;
} finally {
  await producer[Symbol.asyncDispose]();
  await operator[Symbol.asyncDispose]();
  closeRedis(redis);
  await services.stop();
}
