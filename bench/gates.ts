// Bench of many gates: one worker without jobs while the gates of 20,000 tenants are shut. Prints the CPU time of the worker in
// percent of one core, its commands, and the slowest commands of Redis; the same without gates first.
// Probes are not due meanwhile, since their cost is that of KMS and S3. Run: node bench/gates.ts [GATES] [SECONDS]
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServices } from '../src/cli/dev/local-services.ts';
import { sleep, systemClock } from '../src/runtime/clock.ts';
import type { GateRecord } from '../src/parking/gate-record.ts';
import { replaceGate } from '../src/parking/gate-storage.ts';
import { gateId, keyRef } from '../src/runtime/key-ref.ts';
import { closeRedis, openRedis, redisKeys } from '../src/runtime/redis.ts';

const [gates = 20_000, seconds = 120] = process.argv.slice(2).map(Number);
const SETTLE_MS = 15_000;
const SLOW_US = 1000;
/** USER_HZ of Linux. */
const TICKS_PER_SECOND = 100;

const services = await startServices();
const redis = await openRedis({ redisUrl: services.redis.url }, 'patient');
const keys = redisKeys('main');
const keyArn = services.kms.createKey();

function startWorker(): ChildProcess {
  const env = Object.fromEntries(Object.entries(services.settings).map(([name, value]) => [name, String(value)]));
  return spawn(process.execPath, [fileURLToPath(new URL('../bin/sealdex.js', import.meta.url)), 'worker'], {
    env: { ...process.env, ...env, SEALDEX_PORT: '0', SEALDEX_LOG_LEVEL: 'error' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** CPU time of a process so far, in seconds. */
function cpuSeconds({ pid }: ChildProcess): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user, system] = fields.split(' ').slice(11, 13).map(Number);
  return ((user ?? 0) + (system ?? 0)) / TICKS_PER_SECOND;
}

/** Includes the commands of scripts. */
const commandsSoFar = async (): Promise<number> =>
  Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1]);

/** The command with the longest mean, and the longest single one, which may include time in which Redis did not run. */
async function slowestCommands(): Promise<{ mean: string; longest: string }> {
  const stats = (await redis.info('commandstats')).matchAll(/cmdstat_(\S+):calls=\d+,usec=\d+,usec_per_call=([\d.]+)/g);
  const [mean] = [...stats].toSorted(([, , one], [, , other]) => Number(other) - Number(one));
  // Each: id, time, microseconds, arguments.
  const slow = (await redis.call('SLOWLOG', 'GET', '128')) as [number, number, number, string[]][];
  const [longest] = slow.toSorted(([, , one], [, , other]) => other - one);
  return {
    mean: mean ? `${mean[1]} ${(Number(mean[2]) / 1000).toFixed(1)} ms` : 'none',
    longest: longest ? `${longest[3][0]} ${(longest[2] / 1000).toFixed(1)} ms` : `below ${SLOW_US / 1000} ms`,
  };
}

async function measure(): Promise<Record<string, string>> {
  await redis.config('SET', 'slowlog-log-slower-than', SLOW_US);
  await redis.call('SLOWLOG', 'RESET');
  await redis.config('RESETSTAT');
  const worker = startWorker();
  await sleep(systemClock, SETTLE_MS);
  const [before, sent, begun] = [cpuSeconds(worker), await commandsSoFar(), systemClock.monotonic()];
  await sleep(systemClock, seconds * 1000);
  const elapsed = (systemClock.monotonic() - begun) / 1000;
  const cpu = (100 * (cpuSeconds(worker) - before)) / elapsed;
  const commands = ((await commandsSoFar()) - sent) / elapsed;
  const slowest = await slowestCommands();
  worker.kill('SIGTERM');
  await once(worker, 'close');
  return { cpu: `${cpu.toFixed(1)} %`, commands: `${commands.toFixed(0)} a second`, ...slowest };
}

async function shutGates(count: number): Promise<void> {
  const now = systemClock.now();
  const records = Array.from({ length: count }, (_, at): GateRecord => {
    const times = { since: now, codeSince: now, probes: 0, goodProbes: 0, nextProbe: now + 1_500_000 };
    return { ...keyRef(`tenant-${at}`, keyArn), state: 'shut', code: 'KEY_DISABLED', wasCurrent: true, ...times };
  });
  for (let from = 0; from < count; from += 1000) {
    const fields = records.slice(from, from + 1000).map((record, at): [string, string] => {
      return [gateId(record), `${from + at + 1} ${JSON.stringify(record)}`];
    });
    await redis.hset(keys.gates, Object.fromEntries(fields));
  }
  await redis.set(keys.gateEpoch, count);
  // As every change does, it begins the log of changes.
  for (const record of records.slice(0, 1))
    await replaceGate(redis, keys, gateId(record), 1, { record, isPublished: true });
}

const without = await measure();
await shutGates(gates);
const withGates = await measure();
console.table({ 'no gates': without, [`${gates} shut gates`]: withGates });

closeRedis(redis);
await services.stop();
