// A tenant's key is changed: how fast 10,000 stored objects of 2 KB move to the new one, against the plain rate of indexing them,
// and how long another tenant's index jobs take meanwhile, against the same flow without. Run: node bench/reencrypt.ts [objects]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, type Settings } from '../src/app.ts';
import { sleep, systemClock } from '../src/clock.ts';
import { startServices } from '../src/dev/embedded.ts';

const OBJECTS = Number(process.argv[2] ?? 10_000);
const TEXT = 'The quick brown fox jumps over the lazy dog near the river bank on a bright day. '.repeat(23);
const BATCH = 64;

const services = await startServices();
const settings: Settings = services.settings;
const operator = await createOperator(settings);
const producer = await createProducer(settings);
for (const tenant of ['moving', 'others'])
  await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: services.kms.createKey() });

const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
const worker = spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
  env: { ...process.env, ...env, SEALDEX_PORT: '0', SEALDEX_LOG_LEVEL: 'error' },
  stdio: ['ignore', 'inherit', 'inherit'],
});

const documentOf = (id: number) => ({ type: 'core', id: `doc ${id}`, document_parts: [{ text: TEXT }] });
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const secondsSince = (begun: number): number => (systemClock.monotonic() - begun) / 1000;

async function empty(): Promise<void> {
  for (;;) {
    const { waiting, active, delayed } = (await operator.status()).index;
    if (waiting + active + delayed === 0) return;
    await sleep(systemClock, 50);
  }
}

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

try {
  const warmUntil = systemClock.monotonic() + 3000;
  await latencies(() => systemClock.monotonic() > warmUntil);
  await operator.pauseTenant('moving', 'until all is queued');
  for (let from = 0; from < OBJECTS; from += BATCH) {
    const some = Array.from({ length: Math.min(BATCH, OBJECTS - from) }, (_, at) => documentOf(from + at));
    await producer.enqueueIndexBulk(some.map((document) => ({ tenant: 'moving', corpus: 'bench', document })));
  }
  for (;;) {
    const { parkedByTenant } = await operator.status();
    if ((parkedByTenant[0]?.jobs ?? 0) >= OBJECTS) break;
    await sleep(systemClock, 100);
  }
  const indexing = systemClock.monotonic();
  await operator.resumeTenant('moving');
  await empty();
  const indexRate = OBJECTS / secondsSince(indexing);

  const calmUntil = systemClock.monotonic() + 8000;
  const calm = median(await latencies(() => systemClock.monotonic() > calmUntil));
  await operator.setKey('moving', services.kms.createKey());
  const moving = systemClock.monotonic();
  let isMoved = false;
  const moved = (async () => {
    while (((await operator.reencryption('moving')).passBegun ?? 0) < systemClock.now()) await sleep(systemClock, 100);
    isMoved = true;
    return OBJECTS / secondsSince(moving);
  })();
  const beside = median(await latencies(() => isMoved));
  const moveRate = await moved;
  console.log(`indexing    ${indexRate.toFixed(0)} objects/s (parked jobs released, opened, encrypted, stored)`);
  console.log(
    `moving      ${moveRate.toFixed(0)} objects/s, ${(moveRate / indexRate).toFixed(2)} of that (wanted 0.4)`,
  );
  console.log(
    `others      median ${beside.toFixed(1)} ms beside it, ${calm.toFixed(1)} ms without: ${(beside / calm).toFixed(2)} (wanted 1.3)`,
  );
} finally {
  worker.kill('SIGTERM');
  await once(worker, 'exit');
  await producer[Symbol.asyncDispose]();
  await operator[Symbol.asyncDispose]();
  await services.stop();
}
