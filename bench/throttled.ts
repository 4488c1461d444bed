// Jobs of a tenant with a cached data key, alone and while KMS throttles the calls for many tenants without one: the median time from
// enqueueing to done, and the ratio of both. The worker has a process of its own.
// Run: node bench/throttled.ts [ROUNDS] [TENANTS] [JOBS]. Services and worker share the machine; only the ratio is meaningful.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer } from '../src/app/app.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import { startServices } from '../src/cli/dev/local-services.ts';

const [rounds = 3, tenants = 300, jobs = 100] = process.argv.slice(2).map(Number);
const JOBS_OF_OTHERS = 2;
const PAUSE_MS = 50;
/** One of ten calls succeeds. */
const THROTTLING = {
  match: { operation: 'Decrypt' },
  fault: { kind: 'flapping', fault: { kind: 'error', name: 'ThrottlingException' }, bad: 9, good: 1 },
} as const;

const services = await startServices();
const { settings, kms } = services;
const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
const worker = spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
  env: { ...process.env, ...env, SEALDEX_PORT: '0', SEALDEX_LOG_LEVEL: 'silent', SEALDEX_AUDIT_LOG: '/dev/null' },
  stdio: ['ignore', 'inherit', 'inherit'],
});
const operator = await createOperator(settings);
const producer = await createProducer(settings);

const requestOf = (tenant: string, id: string) => ({
  tenant,
  corpus: 'bench',
  document: {
    type: 'core',
    id,
    document_parts: [{ text: 'The quick brown fox jumps over the lazy dog. '.repeat(20) }],
  },
});

async function createTenant(tenant: string): Promise<void> {
  await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: kms.createKey(), whenKeyShut: 'park' });
}

/** Milliseconds until the job is done. */
async function timeOf(id: string): Promise<number> {
  const begun = systemClock.monotonic();
  const { jobId } = await producer.enqueueIndex(requestOf('cached', id));
  for (;;) {
    const { state } = await producer.status(jobId);
    if (state === 'done') return systemClock.monotonic() - begun;
    if (state === 'dead' || state === 'parked') throw new Error(`a job is ${state}`);
    await sleep(systemClock, 2);
  }
}

async function timesOf(name: string): Promise<number[]> {
  const times: number[] = [];
  for (let job = 0; job < jobs; job++) {
    times.push(await timeOf(`${name} ${job}`));
    await sleep(systemClock, PAUSE_MS);
  }
  return times;
}

async function enqueueOthers(names: readonly string[]): Promise<void> {
  const requests = names.flatMap((tenant) =>
    Array.from({ length: JOBS_OF_OTHERS }, (_, at) => requestOf(tenant, `document ${at}`)),
  );
  const failed = (await producer.enqueueIndexBulk(requests)).find((result) => result instanceof Error);
  if (failed) throw failed;
}

async function untilEmpty(): Promise<void> {
  for (;;) {
    const { waiting, active, delayed } = (await operator.status()).index;
    if (waiting + active + delayed === 0) return;
    await sleep(systemClock, 200);
  }
}

const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

try {
  await createTenant('cached');
  await timesOf('first');
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const names = Array.from({ length: tenants }, (_, at) => `other-${round}-${at}`);
    for (const name of names) await createTenant(name);
    const quiet = await timesOf(`quiet ${round}`);
    const throttling = kms.faults.set(THROTTLING);
    await enqueueOthers(names);
    const throttled = await timesOf(`throttled ${round}`);
    ratios.push(median(throttled) / median(quiet));
    console.error(
      `round ${round + 1}/${rounds}: quiet ${median(quiet).toFixed(0)} ms, throttled ${median(throttled).toFixed(0)} ms ` +
        `(longest ${Math.max(...throttled).toFixed(0)} ms), ${throttling.met} throttled calls`,
    );
    throttling.clear();
    await untilEmpty();
  }
  console.log(
    `ratio with ${tenants} tenants without a cached key: median ${median(ratios).toFixed(2)}, ` +
      `from ${sorted(ratios)[0]?.toFixed(2)} to ${sorted(ratios).at(-1)?.toFixed(2)} (wanted: at most 1.5)`,
  );
} finally {
  worker.kill('SIGTERM');
  await once(worker, 'exit');
  await producer[Symbol.asyncDispose]();
  await operator[Symbol.asyncDispose]();
  await services.stop();
}
