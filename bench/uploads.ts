// Bench of a worker with 32 uploads of 10 MB in its queue: memory of worker and children, the delay of the worker's event loop,
// and the time of index jobs with and without uploads. Run: node bench/uploads.ts
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, type Settings } from '../src/app/app.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import { startServices } from '../src/cli/dev/local-services.ts';

const MIB = 1_048_576;
const UPLOADS = 32;
const SENTENCE = 'The quick brown fox jumps over the lazy dog near the river bank on a bright morning. ';
const FILE = Buffer.from(SENTENCE.repeat(Math.ceil((10 * MIB) / SENTENCE.length)).slice(0, 10 * MIB));

const services = await startServices();
const settings: Settings = { ...services.settings, SEALDEX_TENANT_BACKLOG_JOBS: 1_000_000 };
const operator = await createOperator(settings);
const producer = await createProducer(settings);
for (const tenant of ['files', 'documents'])
  await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: services.kms.createKey() });

function startWorker(port: number): ChildProcess {
  const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
  return spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
    env: { ...process.env, ...env, SEALDEX_PORT: String(port), SEALDEX_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

const residentOf = (pid: number): number => {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return 0;
  }
};

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        return Number(readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) === pid;
      } catch {
        return false;
      }
    });

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function indexLatency(until: () => boolean): Promise<number[]> {
  const latencies: number[] = [];
  for (let id = 0; !until(); id++) {
    const document = { type: 'core', id: `doc ${id}`, document_parts: [{ text: SENTENCE.repeat(12) }] };
    const begun = systemClock.monotonic();
    const { jobId } = await producer.enqueueIndex({ tenant: 'documents', corpus: 'bench', document });
    while ((await producer.status(jobId)).state !== 'done') await sleep(systemClock, 3);
    latencies.push(systemClock.monotonic() - begun);
    await sleep(systemClock, 50);
  }
  return latencies;
}

const PORT = 19_464;
const loopDelay = async (): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${PORT}/metrics`)).text();
  return Number(/^sealdex_event_loop_delay_seconds\{quantile="0.99"\} (\S+)$/m.exec(text)?.[1]) * 1000;
};

const worker = startWorker(PORT);
try {
  const warmUntil = systemClock.monotonic() + 3000;
  await indexLatency(() => systemClock.monotonic() > warmUntil);
  const calmUntil = systemClock.monotonic() + 8000;
  const calm = median(await indexLatency(() => systemClock.monotonic() > calmUntil));
  for (let file = 0; file < UPLOADS; file++)
    await producer.enqueueUpload({ tenant: 'files', corpus: 'bench', filename: `file ${file}`, body: FILE });
  await loopDelay();
  let peak = 0;
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      const pids = [worker.pid ?? 0, ...childrenOf(worker.pid ?? 0)];
      peak = Math.max(
        peak,
        pids.map(residentOf).reduce((sum, bytes) => sum + bytes, 0),
      );
      await sleep(systemClock, 50);
    }
  })();
  const begun = systemClock.monotonic();
  const ending = (async () => {
    for (;;) {
      const { waiting, active, delayed, dead } = (await operator.status()).upload;
      if (dead > 0) throw new Error('uploads died');
      if (waiting + active + delayed === 0) return;
      await sleep(systemClock, 200);
    }
  })().finally(() => over.abort());
  const busy = median(await indexLatency(() => over.signal.aborted));
  await ending;
  await watching;
  const took = (systemClock.monotonic() - begun) / 1000;
  console.log(`${UPLOADS} uploads of 10 MB in ${took.toFixed(1)} s`);
  console.log(`worker and children: ${(peak / MIB).toFixed(0)} MiB at their peak (wanted: 1,536)`);
  console.log(`event loop of the worker, p99: ${(await loopDelay()).toFixed(0)} ms (50)`);
  console.log(
    `index jobs, median: ${calm.toFixed(0)} ms before, ${busy.toFixed(0)} ms beside (${(busy / calm).toFixed(2)}; wanted: 1.5)`,
  );
} finally {
  worker.kill('SIGTERM');
  await once(worker, 'close');
  await producer[Symbol.asyncDispose]();
  await operator[Symbol.asyncDispose]();
  await services.stop();
}
