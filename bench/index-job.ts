// Bench of complete index jobs of 2 KB in one worker, with encryption and with an envelope that only copies, in alternating rounds.
// Run: node bench/index-job.ts [ROUNDS] [JOBS]. Services and worker share the machine; only the ratio is meaningful.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createOperator } from '../src/app/app.ts';
import { startServices } from '../src/cli/dev/local-services.ts';

const [rounds = 7, jobs = 2000] = process.argv.slice(2).map(Number);
const at = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const services = await startServices();

async function round(variant: 'encrypting' | 'copies', number: number): Promise<number> {
  const settings = { ...services.settings, SEALDEX_QUEUE: `bench-${variant}-${number}` };
  const tenant = `${variant}-${number}`;
  const operator = await createOperator(settings);
  await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: services.kms.createKey() });
  await operator[Symbol.asyncDispose]();
  const env = Object.fromEntries(
    Object.entries({ ...settings, BENCH_TENANT: tenant }).map(([name, value]) => [name, String(value)]),
  );
  const preload = variant === 'copies' ? ['--import', at('use-copying-envelope.ts')] : [];
  const child = spawn(process.execPath, [...preload, at('index-round.ts'), String(jobs), '2048'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`a round ended with ${code}`);
  return (JSON.parse(text) as { jobsPerSecond: number }).jobsPerSecond;
}

const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

try {
  const encrypting: number[] = [];
  const copies: number[] = [];
  for (let number = 0; number < rounds; number++) {
    // The order alternates, so that other load on the machine affects both variants.
    for (const variant of number % 2 === 0
      ? (['encrypting', 'copies'] as const)
      : (['copies', 'encrypting'] as const)) {
      (variant === 'encrypting' ? encrypting : copies).push(await round(variant, number));
    }
    console.error(
      `round ${number + 1}/${rounds}: encrypting ${encrypting.at(-1)?.toFixed(0)} jobs/s, copying ${copies.at(-1)?.toFixed(0)} jobs/s`,
    );
  }
  const ratios = sorted(encrypting.map((value, index) => value / (copies[index] ?? Number.NaN)));
  console.log(
    `index job of 2 KB: encrypting ${median(encrypting).toFixed(0)} jobs/s, copying ${median(copies).toFixed(0)} jobs/s`,
  );
  console.log(
    `ratio: median ${median(ratios).toFixed(2)}, from ${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)} (wanted: at least 0.85)`,
  );
} finally {
  await services.stop();
}
