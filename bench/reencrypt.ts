// Bench of re-encryption after a key change: the rate for stored objects of 2 KB, relative to the rate of indexing them, and the time
// of another tenant's index jobs with and without it. Run: node bench/reencrypt.ts [OBJECTS] [ROUNDS] [S3_MS].
// Services, worker and this process share the machine: only ratios within a round are meaningful.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, type Settings } from '../src/app/app.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';

const [objects = 10_000, rounds = 1, s3Ms = 0] = process.argv.slice(2).map(Number);
const TEXT = 'The quick brown fox jumps over the lazy dog near the river bank on a bright day. '.repeat(23);
const BATCH = 64;
const CALM_MS = 8000;
/** Each poll makes two S3 requests. */
const POLL_INTERVAL_MS = 250;

const at = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const services = fork(at('services-child.ts'), [String(s3Ms)]);
const nextMessage = async (): Promise<{ settings: Settings; key: string }> => (await once(services, 'message'))[0];
const { settings } = await nextMessage();
const createKey = async (): Promise<string> => {
  const response = nextMessage();
  services.send('key');
  return (await response).key;
};

const operator = await createOperator(settings);
const producer = await createProducer(settings);
const makeTenant = async (tenant: string): Promise<void> =>
  void (await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: await createKey() }));
await makeTenant('others');

const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
const worker = spawn(process.execPath, [at('../bin/sealdex.js'), 'worker'], {
  env: { ...process.env, ...env, SEALDEX_PORT: '0', SEALDEX_LOG_LEVEL: 'error' },
  stdio: ['ignore', 'inherit', 'inherit'],
});

const documentOf = (id: number) => ({ type: 'core', id: `doc ${id}`, document_parts: [{ text: TEXT }] });
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const secondsSince = (begun: number): number => (systemClock.monotonic() - begun) / 1000;

async function latencies(until: () => boolean): Promise<number[]> {
  const found: number[] = [];
  for (let id = 0; !until(); id++) {
    const begun = systemClock.monotonic();
    const { jobId } = await producer.enqueueIndex({ tenant: 'others', corpus: 'bench', document: documentOf(id) });
    while ((await producer.status(jobId)).state !== 'done') await sleep(systemClock, 3);
    found.push(systemClock.monotonic() - begun);
    await sleep(systemClock, 50);
  }
  return found;
}

/** Times of the other tenants' jobs over this period, without re-encryption. */
async function calmly(ms: number): Promise<number[]> {
  const end = systemClock.monotonic() + ms;
  return latencies(() => systemClock.monotonic() > end);
}

/** Objects per second of index jobs that were parked first, so that all are queued at the start. */
async function indexed(tenant: string): Promise<number> {
  await operator.pauseTenant(tenant, 'until all is queued');
  for (let from = 0; from < objects; from += BATCH) {
    const some = Array.from({ length: Math.min(BATCH, objects - from) }, (_, each) => documentOf(from + each));
    await producer.enqueueIndexBulk(some.map((document) => ({ tenant, corpus: 'bench', document })));
  }
  while (((await operator.status()).parkedByTenant[0]?.jobs ?? 0) < objects) await sleep(systemClock, 100);
  const begun = systemClock.monotonic();
  await operator.resumeTenant(tenant);
  for (;;) {
    // The next pass of the tenant before is in the queue too, as a delayed job, and not counted here.
    const { waiting, active } = (await operator.status()).index;
    if (waiting + active === 0 && (await operator.status()).parkedByTenant.length === 0) break;
    await sleep(systemClock, 50);
  }
  return objects / secondsSince(begun);
}

/** Objects per second of one pass, and the times of the other tenants' jobs during it. */
async function moved(tenant: string): Promise<{ rate: number; beside: number[] }> {
  await operator.setKey(tenant, await createKey());
  const begun = systemClock.monotonic();
  let isMoved = false;
  const moving = (async () => {
    try {
      while (((await operator.reencryption(tenant)).passBegun ?? 0) < systemClock.now())
        await sleep(systemClock, POLL_INTERVAL_MS);
    } finally {
      isMoved = true;
    }
    return objects / secondsSince(begun);
  })();
  const [rate, beside] = await Promise.all([moving, latencies(() => isMoved)]);
  return { rate, beside };
}

async function ended(child: ChildProcess, end: () => void): Promise<void> {
  const exit = once(child, 'exit');
  end();
  await exit;
}

try {
  await calmly(3000);
  for (let round = 0; round < rounds; round++) {
    const tenant = `moving-${round}`;
    await makeTenant(tenant);
    const indexRate = await indexed(tenant);
    const before = await calmly(CALM_MS / 2);
    const { rate, beside } = await moved(tenant);
    const calm = median([...before, ...(await calmly(CALM_MS / 2))]);
    const slower = median(beside) / calm;
    console.log(`indexing ${indexRate.toFixed(0)} objects/s, parked jobs released, opened, encrypted, stored`);
    console.log(
      `moving   ${rate.toFixed(0)} objects/s, ${(rate / indexRate).toFixed(2)} of that (wanted: at least 0.4)`,
    );
    console.log(
      `others   median ${median(beside).toFixed(1)} ms beside it, ${calm.toFixed(1)} ms without: ${slower.toFixed(2)} (wanted: at most 1.3)`,
    );
  }
} finally {
  await ended(worker, () => worker.kill('SIGTERM'));
  await producer[Symbol.asyncDispose]();
  await operator[Symbol.asyncDispose]();
  await ended(services, () => services.disconnect());
}
