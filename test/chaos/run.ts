// Runs one chaos run and prints its seed, what it did, and each violated claim. Exit code 1: a wrong result.
//   SEALDEX_CHAOS_SEED=N      repeats the schedule of a run
//   SEALDEX_CHAOS_MINUTES=N   the long form
//   SEALDEX_CHAOS_PATCHES=P   patches of the workers: builds that are broken on purpose
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beginFault } from './faults.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { startLoad, type Load } from './load.ts';
import { check, type Checked, type Violation } from './oracle.ts';
import { repeated } from './repeated.ts';
import { scheduleOf, WORKERS, type Schedule } from './schedule.ts';
import { startChaosServices, type ChaosServices } from './services.ts';
import { settle } from './settle.ts';

const PATCHES = ['history', 'short-locks', process.env['SEALDEX_CHAOS_PATCHES'] ?? ''].join(',');
const SHORT_MS = 14_000;
const GIVE_UP_MS = 120_000;
const HISTORY_LINES = 40;

const numberOf = (name: string): number | undefined => {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const number = Number(text);
  if (!Number.isFinite(number) || number < 0) throw new Error(`${name} must be a number.`);
  return number;
};

const seed = numberOf('SEALDEX_CHAOS_SEED') ?? randomInt(2 ** 32);
const minutes = numberOf('SEALDEX_CHAOS_MINUTES');
const schedule = scheduleOf({ seed, lengthMs: minutes === undefined ? SHORT_MS : minutes * 60_000 });
console.log(`SEALDEX_CHAOS_SEED=${seed}`);
// Node prints neither the error of the run nor that of the disposal after it.
process.on('uncaughtException', (error) => {
  const { error: second, suppressed: first } = error as Partial<SuppressedError>;
  for (const each of [error, first, second]) if (each) console.error(each);
  process.exit(1);
});

const secondsSince = (time: number): number => Math.round((performance.now() - time) / 100) / 10;
const phases: Record<string, number> = {};
const started = performance.now();
await using services = await startChaosServices();
await using fleet = startFleet(services.settings, PATCHES, WORKERS, services.logFile);
await fleet.ready();
phases['start'] = secondsSince(started);
const load = startLoad(services);
await play(services, fleet, load, schedule);
phases['accepted'] = secondsSince(started);
await fleet.ready();
const violations: Violation[] = load.givenUp.map((found) => ({ claim: 'healthy services accept', found, jobIds: [] }));
const left = await settle(services);
phases['settled'] = secondsSince(started);
for (const { jobId, state, code = '' } of left)
  violations.push({ claim: 'no job is stuck on healthy services', found: `${state} ${code}`, jobIds: [jobId] });
await fleet.stop();
const failedCalls = load.failures.values().reduce((sum, count) => sum + count, 0);
const checked = await check({ services, accepted: load.accepted, failedCalls });
violations.push(...checked.violations);
report(checked);
for (const violation of violations) await explain(services, violation);
process.exitCode = violations.length === 0 ? 0 : 1;

/** Sends the requests and sets the faults at their times. Resolves when all faults have ended and all requests are accepted. */
async function play(of: ChaosServices, workers: Fleet, sending: Load, { requests, faults }: Schedule): Promise<void> {
  const begun = performance.now();
  const at = (ms: number): Promise<void> => sleep(Math.max(0, begun + ms - performance.now()));
  const sent = requests.map(async (request) => {
    await at(request.atMs);
    await sending.send(request);
  });
  const ended = faults.map(async (fault) => {
    await at(fault.atMs);
    const end = await beginFault(of, workers, fault);
    await sleep(fault.forMs);
    await end();
  });
  await Promise.all(ended);
  phases['faults'] = secondsSince(begun);
  const late = setTimeout(() => sending.giveUp(), GIVE_UP_MS);
  await Promise.all(sent);
  clearTimeout(late);
}

function report({ states, intakeLeftovers }: Checked): void {
  console.log(
    JSON.stringify({
      seed,
      jobs: load.accepted.length,
      states,
      faults: schedule.faults.length,
      workerStarts: fleet.starts,
      failedCalls: Object.fromEntries(load.failures),
      intakeLeftovers,
      wrong: violations.length,
      phases,
      seconds: secondsSince(started),
    }),
  );
}

/** The history of a job: its state, and the lines of the logs that name it. */
async function explain({ producer, logFile }: ChaosServices, { claim, found, jobIds }: Violation): Promise<void> {
  console.log(`Seed ${seed}: wrong: ${claim}: ${found}`);
  const lines = readFileSync(logFile, 'utf8').split('\n');
  for (const jobId of jobIds) {
    const request = load.accepted.find((job) => job.jobId === jobId);
    console.log(`  job ${jobId}: ${request?.kind ?? 'unknown'}, revision ${request?.revision ?? '-'}`);
    console.log(`    state: ${JSON.stringify(await repeated(() => producer.status(jobId)))}`);
    for (const line of lines.filter((text) => text.includes(jobId)).slice(-HISTORY_LINES)) console.log(`    ${line}`);
  }
}
