// Bench of revocation while documents are indexed and read, with two worker processes and this process, which enqueues and reads.
// Measures the time from the tenant's call to the last document stored and the last one read in any process. Each call comes
// right after a revocation check, when detection takes longest. Run: node bench/revocation.ts
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createOperator, createProducer, createReader, type Settings } from '../src/app/app.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import { startServices } from '../src/cli/dev/local-services.ts';
import { SealdexError } from '../src/runtime/errors.ts';
import { keyPolicy } from '../src/policies/key-policy.ts';

const CHECK_MS = 5000;
const WANTED_MS = CHECK_MS + 2000;
/** At most three: denied keys of more tenants within minutes count as a platform fault. */
const ROUNDS = 3;
const WRITERS = 4;
const READERS = 2;
const CORPUS = 'bench';
const SEALDEX_ROLE = 'arn:aws:iam::444455556666:role/sealdex';
const OWNER = '111122223333';
const TEXT = 'The quick brown fox jumps over the lazy dog near the river bank on a bright day. '.repeat(23);

const services = await startServices();
services.kms.setPolicy(
  String(services.settings.SEALDEX_PLATFORM_KEY_ARN),
  keyPolicy({ principal: SEALDEX_ROLE, tenant: '', withoutContext: true }, OWNER),
);
const settings: Settings = { ...services.settings, AWS_ACCESS_KEY_ID: SEALDEX_ROLE, SEALDEX_KEY_CHECK_MS: CHECK_MS };
const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
const workers = [1, 2].map(() =>
  spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
    env: { ...process.env, ...env, SEALDEX_PORT: '0', SEALDEX_LOG_LEVEL: 'silent' },
    stdio: ['ignore', 'inherit', 'inherit'],
  }),
);
const operator = await createOperator(settings);
const producer = await createProducer(settings);
const reader = await createReader(settings);

/** Times of the last stored and the last read document, by the monotonic clock. */
interface Last {
  stored: number;
  read: number;
}

/** Returns true if the document was stored, false if its job is parked. */
async function isStored(tenant: string, id: string): Promise<boolean> {
  const document = { type: 'core', id, document_parts: [{ text: TEXT }] };
  const { jobId } = await producer.enqueueIndex({ tenant, corpus: CORPUS, document });
  for (;;) {
    const { state } = await producer.status(jobId);
    if (state === 'done' || state === 'parked') return state === 'done';
    if (state === 'dead') throw new Error('A job died.');
    await sleep(systemClock, 2);
  }
}

async function isRead(tenant: string): Promise<boolean> {
  try {
    const { parts } = await reader.open({ tenant, corpus: CORPUS, id: 'first' });
    for await (const part of parts) void part;
    return true;
  } catch (error) {
    if (error instanceof SealdexError && error.code.startsWith('KEY_')) return false;
    throw error;
  }
}

/** Stores and reads documents until the signal aborts. */
async function flow(tenant: string, last: Last, signal: AbortSignal): Promise<void> {
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let number = 0; !signal.aborted; number++) {
      if (await isStored(tenant, `${writer} ${number}`)) last.stored = systemClock.monotonic();
      await sleep(systemClock, 5);
    }
  });
  const readers = Array.from({ length: READERS }, async () => {
    while (!signal.aborted) {
      if (await isRead(tenant)) last.read = systemClock.monotonic();
      await sleep(systemClock, 5);
    }
  });
  await Promise.all([...writers, ...readers]);
}

/** Resolves at a check after all processes have their keys. */
async function checked(keyArn: string): Promise<void> {
  const decrypts = (): number => services.kms.counts.count({ operation: 'Decrypt', key: keyArn, result: 'ok' });
  await sleep(systemClock, CHECK_MS / 2);
  const before = decrypts();
  while (decrypts() === before) await sleep(systemClock, 1);
}

/** Milliseconds from the call to the last stored and the last read document. */
async function round(tenant: string, revoke: (keyArn: string, tenant: string) => void): Promise<Last> {
  const keyArn = services.kms.createKey();
  services.kms.setPolicy(keyArn, keyPolicy({ principal: SEALDEX_ROLE, tenant }, OWNER));
  await operator.putTenant(tenant, { plan: 'pro', kmsKeyArn: keyArn });
  await isStored(tenant, 'first');
  const last: Last = { stored: Number.NaN, read: Number.NaN };
  const ending = new AbortController();
  const revoking = async (): Promise<number> => {
    await checked(keyArn);
    revoke(keyArn, tenant);
    const revoked = systemClock.monotonic();
    await sleep(systemClock, WANTED_MS + CHECK_MS);
    ending.abort();
    return revoked;
  };
  const [revoked] = await Promise.all([revoking(), flow(tenant, last, ending.signal)]);
  return { stored: last.stored - revoked, read: last.read - revoked };
}

function withoutDecrypt(keyArn: string, tenant: string): void {
  const policy = keyPolicy({ principal: SEALDEX_ROLE, tenant }, OWNER);
  const Statement = policy.Statement.map((one) => ({
    ...one,
    Action: one.Principal?.AWS === SEALDEX_ROLE ? one.Action.filter((action) => action !== 'kms:Decrypt') : one.Action,
  }));
  services.kms.setPolicy(keyArn, { ...policy, Statement });
}

const WAYS = {
  'DisableKey        ': (keyArn: string) => services.kms.disable(keyArn),
  'Decrypt taken away': withoutDecrypt,
};

const secondsOf = (values: readonly number[]): string => values.map((ms) => (ms / 1000).toFixed(2)).join(', ');

try {
  console.log(`asked again every ${CHECK_MS / 1000} s; wanted: nothing stored or read ${WANTED_MS / 1000} s after`);
  for (const [at, [way, revoke]] of Object.entries(WAYS).entries()) {
    const rounds: Last[] = [];
    for (let number = 0; number < ROUNDS; number++) rounds.push(await round(`tenant-${at}-${number}`, revoke));
    const [stored, read] = [rounds.map((last) => last.stored), rounds.map((last) => last.read)];
    console.log(`${way}  last stored after ${secondsOf(stored)} s, last read after ${secondsOf(read)} s`);
    if (!(Math.max(...stored, ...read) <= WANTED_MS)) process.exitCode = 1;
  }
} finally {
  for (const worker of workers) worker.kill('SIGTERM');
  await Promise.all(workers.map((worker) => once(worker, 'close')));
  for (const opened of [reader, producer, operator]) await opened[Symbol.asyncDispose]();
  await services.stop();
}
