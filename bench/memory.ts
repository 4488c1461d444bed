// Bench of the memory of a worker process: its peak with 32 documents of 10 MB in the queue, and its growth over 20,000 small ones.
// Run: node bench/memory.ts. Measures the resident set size of a `sealdex worker` process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, type Settings } from '../src/app/app.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import { startServices } from '../src/cli/dev/local-services.ts';

const MIB = 1_048_576;
const SENTENCE = 'The quick brown fox jumps over the lazy dog near the river bank on a bright morning. ';

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;

function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1024;
}

async function withWorker<T>(settings: Settings, work: (pid: number) => Promise<T>): Promise<T> {
  const env = Object.fromEntries(
    Object.entries({ ...settings, SEALDEX_PORT: 0, SEALDEX_LOG_LEVEL: 'error' }).map(([name, value]) => [
      name,
      String(value),
    ]),
  );
  const worker = spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    return await work(worker.pid ?? 0);
  } finally {
    worker.kill('SIGTERM');
    await once(worker, 'close');
  }
}

async function enqueue(settings: Settings, count: number, bytes: number, from: number): Promise<void> {
  const producer = await createProducer(settings);
  const text = SENTENCE.repeat(Math.ceil(bytes / SENTENCE.length)).slice(0, bytes);
  const batch = bytes > MIB ? 1 : 500;
  for (let id = 0; id < count; id += batch) {
    const requests = Array.from({ length: Math.min(batch, count - id) }, (_, index) => ({
      tenant: 'bench',
      corpus: 'bench',
      document: { type: 'structured', id: `${from + id + index}`, sections: [{ text }] },
    }));
    const failed = (await producer.enqueueIndexBulk(requests)).find((result) => result instanceof Error);
    if (failed) throw failed;
  }
  await producer[Symbol.asyncDispose]();
}

async function untilEmpty(settings: Settings): Promise<void> {
  const operator = await createOperator(settings);
  for (;;) {
    const { index } = await operator.status();
    if (index.dead > 0) throw new Error('jobs died');
    if (index.waiting + index.active + index.delayed === 0) break;
    await sleep(systemClock, 100);
  }
  await operator[Symbol.asyncDispose]();
}

const services = await startServices();
try {
  const operator = await createOperator(services.settings);
  await operator.putTenant('bench', { plan: 'pro', kmsKeyArn: services.kms.createKey() });
  await operator[Symbol.asyncDispose]();

  const large: Settings = { ...services.settings, SEALDEX_QUEUE: 'large' };
  await enqueue(large, 32, 10 * MIB, 0);
  const begun = systemClock.monotonic();
  const peak = await withWorker(large, async (pid) => {
    // The jobs were queued before, so an empty queue means that all were taken.
    await untilEmpty(large);
    return memoryOf(pid, 'VmHWM');
  });
  console.log(
    `32 documents of 10 MB: peak ${mib(peak)} in ${((systemClock.monotonic() - begun) / 1000).toFixed(0)} s (wanted: under 512 MiB)`,
  );

  const small: Settings = { ...services.settings, SEALDEX_QUEUE: 'small' };
  const [after5, after20] = await withWorker(small, async (pid) => {
    await enqueue(small, 5000, 1000, 0);
    await untilEmpty(small);
    const first = memoryOf(pid, 'VmRSS');
    await enqueue(small, 15_000, 1000, 5000);
    await untilEmpty(small);
    return [first, memoryOf(pid, 'VmRSS')];
  });
  const growth = ((after20 / after5 - 1) * 100).toFixed(1);
  console.log(
    `small documents: ${mib(after5)} after 5,000, ${mib(after20)} after 20,000: ${growth} % more (wanted: at most 10 %)`,
  );
} finally {
  await services.stop();
}
