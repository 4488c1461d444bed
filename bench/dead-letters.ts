// Bench of 100,000 dead letters of 20 tenants: time of a list, the longest Redis command, and the rate of a replay.
// Run: node bench/dead-letters.ts [LETTERS]. Dead letters are written to Redis in BullMQ's layout.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { createOperator } from '../src/app/app.ts';
import { systemClock } from '../src/runtime/clock.ts';
import { loadConfig } from '../src/runtime/config.ts';
import { startServices } from '../src/cli/dev/local-services.ts';
import { newJobId } from '../src/jobs/jobs.ts';
import { createMetrics } from '../src/runtime/metrics.ts';
import { createLetterTasks } from '../src/queue/dead-letters/maintenance.ts';
import { redisKeys } from '../src/runtime/redis.ts';

const [count = 100_000] = process.argv.slice(2).map(Number);
const TENANTS = 20;
const CODES = ['CONTENT_MISSING', 'KEY_DESTROYED', 'DOCUMENT_INVALID', 'STALLED_TOO_OFTEN'];
const RATE = 200;
const SECONDS = 10;
/** Commands longer than this are recorded, in microseconds. */
const SLOW_US = 500;

const services = await startServices();
const settings = { ...services.settings, SEALDEX_QUEUE: 'bench-letters' };
const config = loadConfig(settings, {});
const keys = redisKeys(config.queue);
const redis = new Redis(config.redisUrl);
const queue = `${keys.prefix}:index`;
const operator = await createOperator(settings);

const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  const begun = systemClock.monotonic();
  const result = await work();
  console.log(`${what}: ${(systemClock.monotonic() - begun).toFixed(0)} ms`);
  return result;
};

async function layAll(): Promise<void> {
  const inline = 'A'.repeat(1400);
  const start = Date.now() - count * 10;
  for (let from = 0; from < count; from += 1000) {
    const pipeline = redis.pipeline();
    for (let at = from; at < Math.min(count, from + 1000); at += 1) {
      const [id, since] = [newJobId(), start + at * 10];
      const data = { v: 1, kind: 'index', tenant: `tenant-${at % TENANTS}`, corpus: 'docs', revision: since * 1000 };
      pipeline.hset(`${queue}:${id}`, {
        name: 'index',
        data: JSON.stringify({ ...data, object: 'a'.repeat(64), content: { inline } }),
        opts: '{"attempts":8}',
        timestamp: since,
        priority: 1,
        atm: 1,
        failedReason: `${CODES[at % CODES.length]} ${id}`,
        finishedOn: since,
      });
      pipeline.zadd(`${queue}:failed`, since, id);
    }
    await pipeline.exec();
  }
}

async function commandLine(): Promise<void> {
  const bin = fileURLToPath(new URL('../bin/sealdex.js', import.meta.url));
  const env = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
  const args = [bin, 'dead', 'list', '--tenant', 'tenant-7', '--limit', '50'];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`dead list ended with ${code}`);
}

async function replayPace(): Promise<void> {
  const limit = RATE * SECONDS;
  const interrupt = new AbortController();
  const begun = systemClock.monotonic();
  let seconds = 0;
  await operator.replay(
    { limit },
    {
      rate: RATE,
      signal: interrupt.signal,
      onProgress({ sent }) {
        if (sent < limit) return;
        seconds = (systemClock.monotonic() - begun) / 1000;
        interrupt.abort();
      },
    },
  );
  const pace = limit / seconds;
  console.log(
    `replay of ${limit} at ${RATE}/s: ${pace.toFixed(1)}/s, ${((pace / RATE - 1) * 100).toFixed(1)} % off (wanted: within 10 %)`,
  );
}

async function slowest(): Promise<void> {
  const entries = (await redis.slowlog('GET', 10_000)) as [number, number, number, string[]][];
  const [longest] = entries.toSorted(([, , one], [, , other]) => other - one);
  const ms = (longest?.[2] ?? SLOW_US) / 1000;
  const name = longest ? longest[3][0] : 'any';
  console.log(`longest Redis command: ${longest ? '' : 'under '}${ms} ms, ${name} (wanted: under 50 ms)`);
}

try {
  console.log(`${count} dead letters of ${TENANTS} tenants`);
  await layAll();
  await redis.config('SET', 'slowlog-log-slower-than', SLOW_US);
  await redis.config('SET', 'slowlog-max-len', 10_000);
  await redis.slowlog('RESET');
  const tasks = createLetterTasks({
    redis,
    keys,
    clock: systemClock,
    config,
    metrics: createMetrics(),
    removeContent: async () => {},
  });
  const { signal } = new AbortController();
  await timed('sweep that enters all of them', () => tasks.repairLetters(signal));
  await timed('sweep that finds nothing to do', () => tasks.repairLetters(signal));
  await timed('list of one tenant, 50 (wanted: under 1000 ms)', () =>
    operator.deadList({ tenant: 'tenant-7' }, { limit: 50 }),
  );
  await timed('list of one code, 50', () => operator.deadList({ code: 'KEY_DESTROYED' }, { limit: 50 }));
  await timed('list of all, 50', () => operator.deadList({}, { limit: 50 }));
  await timed('sealdex dead list --tenant --limit 50, process start included', commandLine);
  await timed('tally of all', () => operator.deadTally({}));
  await replayPace();
  await timed('discard of one tenant', () => operator.discard({ tenant: 'tenant-7' }));
  await slowest();
} finally {
  await operator[Symbol.asyncDispose]();
  redis.disconnect();
  await services.stop();
}
