// One round of the index-job bench, in its own process: enqueues documents, then measures a worker that indexes all of them.
import { createOperator, createProducer, startWorker } from '../src/app/app.ts';
import { systemClock, sleep } from '../src/runtime/clock.ts';

const [count = 2000, bytes = 2048] = process.argv.slice(2).map(Number);
const tenant = process.env['BENCH_TENANT'] ?? '';
const words =
  'lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore. '.repeat(
    Math.ceil(bytes / 98),
  );
const documents = Array.from({ length: count }, (_, id) => ({
  type: 'core',
  id: `document ${id}`,
  document_parts: [{ text: words.slice(0, bytes) }],
}));

const operator = await createOperator();
const producer = await createProducer();
const results = await producer.enqueueIndexBulk(documents.map((document) => ({ tenant, corpus: 'bench', document })));
const failed = results.find((result) => result instanceof Error);
if (failed) throw failed;

const begun = systemClock.monotonic();
const worker = await startWorker({ SEALDEX_PORT: 0 }, { host: '127.0.0.1' });
for (;;) {
  const { index } = await operator.status();
  if (index.waiting + index.active + index.delayed === 0) break;
  if (index.dead > 0) throw new Error('jobs died');
  await sleep(systemClock, 20);
}
const seconds = (systemClock.monotonic() - begun) / 1000;
await worker.stop();
await producer[Symbol.asyncDispose]();
await operator[Symbol.asyncDispose]();
console.log(JSON.stringify({ jobsPerSecond: count / seconds }));
