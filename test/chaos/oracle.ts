// Claims that hold at the end of a chaos run, whatever its schedule. Each returns its violations, without content.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { intakeRemovals } from '../../src/maintenance/intake-removals.ts';
import { backlogCounters, platformCounters, readCounts } from '../../src/queue/backlog/counters.ts';
import { recount } from '../../src/queue/backlog/recount.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import { objectName } from '../../src/runtime/names.ts';
import { redisKeys } from '../../src/runtime/redis.ts';
import { findLeaks, holdsWord } from '../producer/leaks.ts';
import { keysUnder } from '../support/documents.ts';
import { CORPUS, idOf, MARK, textOf, wordOf, type Accepted } from './load.ts';
import { OUTCOME } from './patches.ts';
import { repeated } from './repeated.ts';
import type { ChaosServices } from './services.ts';

export interface Violation {
  readonly claim: string;
  /** What was found, without content. */
  readonly found: string;
  readonly jobIds: readonly string[];
}

export interface Facts {
  readonly services: ChaosServices;
  readonly accepted: readonly Accepted[];
  /** Number of calls of the producer that failed. */
  readonly failedCalls: number;
}

/** A call of the producer that failed may leave one object, which the sweep removes after SEALDEX_INTAKE_SWEEP_MS. */
const LEFTOVERS_PER_FAILED_CALL = 1;
/** Redis writes the pending removal together with the status note. Without both, an error of S3 leaves the object to the sweep. */
const LEFTOVERS_WITHOUT_NOTE = 1;

export interface Checked {
  readonly violations: readonly Violation[];
  readonly states: Readonly<Record<string, number>>;
  readonly intakeLeftovers: number;
}

export async function check(facts: Facts): Promise<Checked> {
  const documents = groupedByDocument(facts.accepted);
  const { violations: ends, states } = await checkEnds(facts, documents);
  const intake = await checkIntake(facts);
  const violations = [
    ...ends,
    ...intake.violations,
    ...(await checkDocuments(facts, documents)),
    ...(await checkOriginals(facts, documents)),
    ...(await checkCounters(facts)),
    ...(await checkSecrecy(facts)),
  ];
  return { violations, states, intakeLeftovers: intake.leftovers };
}

/** Jobs of one document, in the order of their revisions. */
type Documents = ReadonlyMap<string, readonly [Accepted, ...Accepted[]]>;

function groupedByDocument(accepted: readonly Accepted[]): Documents {
  const sorted = accepted.toSorted((a, b) => a.revision - b.revision);
  return Map.groupBy(sorted, ({ tenant, document }) => `${tenant} ${document}`) as unknown as Documents;
}

const lastOf = (jobs: readonly [Accepted, ...Accepted[]]): Accepted => jobs.at(-1) ?? jobs[0];

/** Jobs for which a worker came to the outcome `done`. */
function storedJobs(logFile: string): Set<string> {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  const outcomes = lines.filter((line) => line.includes(OUTCOME) && line.includes('"kind":"done"'));
  return new Set(outcomes.map((line) => (JSON.parse(line) as { job: string }).job));
}

async function checkEnds({ services }: Facts, documents: Documents) {
  const violations: Violation[] = [];
  const states: Record<string, number> = {};
  const stored = storedJobs(services.logFile);
  for (const jobs of documents.values()) {
    const last = lastOf(jobs);
    for (const job of jobs) {
      const { state: shown, code = '' } = await repeated(() => services.producer.status(job.jobId));
      // A job ends without its status note if Redis rejects the note and accepts the move.
      const state = shown === 'unknown' && stored.has(job.jobId) ? 'done without a note' : shown;
      states[state] = (states[state] ?? 0) + 1;
      const isRight = state.startsWith('done') || (state === 'superseded' && job.revision < last.revision);
      if (isRight) continue;
      const found = `${state} ${code}, revision ${job.revision} of ${last.revision}`;
      violations.push({ claim: 'each accepted job is stored or superseded', found, jobIds: [job.jobId, last.jobId] });
    }
    const isRepeated = new Set(jobs.map(({ revision }) => revision)).size < jobs.length;
    const claim = 'each accepted job has its own revision';
    if (isRepeated) violations.push({ claim, found: '', jobIds: jobs.map(({ jobId }) => jobId) });
  }
  return { violations, states };
}

const nameOf = ({ tenant, document }: Accepted) => ({ tenant, corpus: CORPUS, id: idOf(document) });

/** Undefined if there is none. */
async function orNotFound<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await repeated(call);
  } catch (error) {
    if (error instanceof SealdexError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function checkDocuments({ services }: Facts, documents: Documents): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const jobs of documents.values()) {
    const last = lastOf(jobs);
    const found = await storedOf(services, last).catch((error: unknown) => `error ${(error as SealdexError).code}`);
    const expected = last.kind === 'delete' ? 'nothing' : `revision ${last.revision}, its text`;
    const claim = 'each document reads back as its last accepted revision';
    if (found !== expected) violations.push({ claim, found: `${found}, not ${expected}`, jobIds: [last.jobId] });
  }
  return violations;
}

async function storedOf({ reader }: ChaosServices, last: Accepted): Promise<string> {
  const stored = await orNotFound(async () => {
    await using opened = await reader.open(nameOf(last));
    const texts: string[] = [];
    for await (const part of opened.parts) if ('text' in part) texts.push(part.text);
    return { revision: opened.document.revision, text: texts.join('') };
  });
  if (!stored) return 'nothing';
  return `revision ${stored.revision}, ${stored.text.includes(wordOf(last.n)) ? 'its text' : 'another text'}`;
}

async function checkOriginals({ services }: Facts, documents: Documents): Promise<Violation[]> {
  const violations: Violation[] = [];
  const kept = new Set<string>();
  for (const jobs of documents.values()) {
    const last = lastOf(jobs);
    if (last.kind !== 'upload' || last.tenant === 'own-a') continue;
    kept.add(`originals/${last.tenant}/${CORPUS}/${objectName(idOf(last.document))}`);
    const bytes = await orNotFound(async () => {
      await using opened = await services.reader.original(nameOf(last));
      return Buffer.concat(await Array.fromAsync(opened.body));
    });
    const found = bytes === undefined ? 'none' : 'other bytes';
    const claim = 'the original of each uploaded document is kept';
    if (bytes?.toString() !== textOf(last)) violations.push({ claim, found, jobIds: [last.jobId] });
  }
  const orphans = (await repeated(() => keysUnder(services.store, 'originals/'))).filter((key) => !kept.has(key));
  const claim = 'no original without its document is left';
  const jobIds = [...documents.values()].flatMap((jobs) => {
    const name = objectName(idOf(jobs[0].document));
    return orphans.some((key) => key.includes(`/${jobs[0].tenant}/`) && key.endsWith(name))
      ? jobs.map((job) => job.jobId)
      : [];
  });
  if (orphans.length > 0) violations.push({ claim, found: `${orphans.length} objects`, jobIds });
  return violations;
}

/** Pending removals are made due, and removed as the maintenance task of a worker does it. */
async function checkIntake({ services: { store, redis, producer, settings }, accepted }: Facts) {
  const keys = redisKeys(String(settings.SEALDEX_QUEUE));
  for (const name of await redis.zrange(keys.intakeRemovals, '0', '-1')) await redis.zadd(keys.intakeRemovals, 0, name);
  await repeated(() => intakeRemovals({ store, redis, keys }).run(new AbortController().signal));
  const left = await repeated(() => keysUnder(store, 'intake/'));
  const failedCalls = new Map(accepted.map((job) => [job.jobId, job.failedCalls]));
  const claim = 'no content of finished jobs is left in intake';
  const violations: Violation[] = [];
  for (const [jobId, { length }] of Map.groupBy(left, (key) => key.split('/')[2] ?? '')) {
    const { state } = await repeated(() => producer.status(jobId));
    const ofCalls = LEFTOVERS_PER_FAILED_CALL * (failedCalls.get(jobId) ?? 0);
    const allowed = ofCalls + (state === 'unknown' ? LEFTOVERS_WITHOUT_NOTE : 0);
    if (length > allowed) violations.push({ claim, found: `${length} objects`, jobIds: [jobId] });
  }
  return { violations, leftovers: left.length };
}

/** A call that failed may have reserved a place in the backlog for a job that was never added. */
async function checkCounters({ services, failedCalls }: Facts): Promise<Violation[]> {
  const { redis } = services;
  const keys = redisKeys(String(services.settings.SEALDEX_QUEUE));
  const counters = [backlogCounters(keys), platformCounters(keys)];
  const before = await Promise.all(counters.map((names) => readCounts(redis, names)));
  await recount(redis, keys);
  const after = await Promise.all(counters.map((names) => readCounts(redis, names)));
  const violations = before.flatMap((counts, at) =>
    [...counts].flatMap(([tenant, { jobs }]): Violation[] => {
      const surplus = jobs - (after[at]?.get(tenant)?.jobs ?? 0);
      const claim = 'the backlog counts the jobs of each tenant';
      if (surplus >= 0 && surplus <= failedCalls) return [];
      return [{ claim, found: `${surplus} too many for ${tenant}`, jobIds: [] }];
    }),
  );
  const claim = 'the index of parked jobs names only parked jobs';
  for (const index of await redis.keys(`${keys.prefix}:parking:jobs*`))
    for (const jobId of await redis.zrange(index, '0', '-1')) {
      const { state } = await repeated(() => services.producer.status(jobId));
      if (state !== 'parked') violations.push({ claim, found: `${state} in ${index}`, jobIds: [jobId] });
    }
  return violations;
}

async function checkSecrecy({ services: { redis, store, dir, logFile, aws } }: Facts): Promise<Violation[]> {
  const { found } = await repeated(() => findLeaks(redis, store, [MARK]));
  const folder = join(dir, 'redis');
  const appendOnly = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const files = [...appendOnly, logFile, aws.auditFile].filter((file) => holdsWord(readFileSync(file), [MARK]));
  const claim = 'no content is in plaintext in Redis, its file, the bucket, the logs or the audit log';
  return [...found, ...files].map((place) => ({ claim, found: place, jobIds: [] }));
}
