// Bench of a producer's memory while it uploads one file of 10 MB as a stream of known length: its peak above the baseline.
// Run: node bench/upload-memory.ts. The services run in this process, and only the child with the producer is measured.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, type Settings } from '../src/app/app.ts';
import { startServices } from '../src/cli/dev/local-services.ts';

const MIB = 1_048_576;
const FILE_BYTES = 10 * MIB;
const CHUNK_BYTES = 65_536;

const kernel = (field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024;

async function* file(bytes: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < bytes; sent += CHUNK_BYTES) {
    yield Buffer.alloc(Math.min(CHUNK_BYTES, bytes - sent), 'x');
    await Promise.resolve();
  }
}

/** Runs in the child: warms up with small files, then uploads the large one. */
async function send(settings: Settings): Promise<void> {
  const producer = await createProducer(settings);
  const upload = (filename: string, length: number) =>
    producer.enqueueUpload({
      tenant: 'bench',
      corpus: 'bench',
      filename,
      body: Readable.from(file(length), { objectMode: false }),
      length,
    });
  for (let warm = 0; warm < 20; warm += 1) await upload(`warm ${warm}`, 1000);
  // Resets the kernel's peak of the resident set size.
  writeFileSync('/proc/self/clear_refs', '5');
  const before = kernel('VmRSS');
  await upload('large', FILE_BYTES);
  console.log(
    `10 MB of known length: ${((kernel('VmHWM') - before) / MIB).toFixed(1)} MiB over ${(before / MIB).toFixed(0)} MiB (wanted: under 32 MiB)`,
  );
  await producer[Symbol.asyncDispose]();
}

const given = process.env['BENCH_SETTINGS'];
if (given === undefined) {
  const services = await startServices();
  try {
    const operator = await createOperator(services.settings);
    await operator.putTenant('bench', { plan: 'pro', kmsKeyArn: services.kms.createKey() });
    await operator[Symbol.asyncDispose]();
    for (let round = 0; round < 3; round += 1) {
      const env = { ...process.env, BENCH_SETTINGS: JSON.stringify(services.settings) };
      await once(fork(fileURLToPath(import.meta.url), { env }), 'close');
    }
  } finally {
    await services.stop();
  }
} else {
  await send(JSON.parse(given) as Settings);
}
