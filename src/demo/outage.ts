// The outage: a tenant disables its KMS key while documents of all tenants flow, and enables it again.
import type { GateFacts, Settings } from '../index.ts';
import { openWorker, using, waitUntil } from './calls.ts';
import { randomWord, requestOf, type DemoRequest } from './documents.ts';
import type { Page } from './files.ts';
import { enqueueAll, finishedStates } from './jobs.ts';
import { number, type DemoResult, type DemoTenant, type Stage } from './stage.ts';

/** Probes come every half second: the demo is to be short. On the first day a third of the maximum applies. */
const PROBE_MS = 500;
export const PROBE_SETTINGS: Settings = { SEALDEX_PROBE_MIN_MS: PROBE_MS, SEALDEX_PROBE_MAX_MS: 3 * PROBE_MS };

const ROUNDS_BEFORE = 5;
const PROBES_SEEN = 3;
/** The producer and two workers: each may call KMS once before it receives the shut gate. */
const PROCESSES = 3;
const MAX_PAGE_CHARS = 16_000;
const VICTIM_PER_ROUND = 4;
const OTHERS_PER_ROUND = 2;

/** Documents of all tenants, sent in rounds. */
interface Flow {
  readonly requests: DemoRequest[];
  readonly jobIds: string[];
  /** Milliseconds from enqueued to stored, of documents of the tenants other than the victim. */
  readonly waitsMs: number[];
}

/** Needs a running worker that has the data keys of all tenants. Returns the figures and the requests that it enqueued. */
export async function showOutage(
  stage: Stage,
  { tenant, kmsKeyArn = '' }: DemoTenant,
  pages: readonly Page[],
): Promise<{ figures: Pick<DemoResult, 'parked' | 'others'>; requests: readonly DemoRequest[] }> {
  const { services, operator, screen, signal } = stage;
  const { kms } = services;
  const flow: Flow = { requests: [], jobIds: [], waitsMs: [] };
  const small = pages.filter(({ text }) => text.length <= MAX_PAGE_CHARS);
  const flowUntil = (isReached: () => Promise<boolean>): Promise<boolean> =>
    waitUntil(() => sendRound(stage, tenant, small, flow).then(isReached), signal);
  const calls = (): number =>
    kms.counts.count({ key: kmsKeyArn }) - kms.counts.count({ key: kmsKeyArn, operation: 'DescribeKey' });
  let gate: GateFacts | undefined;
  const gateNow = async (): Promise<GateFacts | undefined> =>
    (gate = (await operator.gates({ tenant, keyArn: kmsKeyArn })).gates[0]);

  screen.say(`Documents of all tenants keep coming. Workers probe an unusable key every ${PROBE_MS}ms here.`);
  let rounds = 0;
  await flowUntil(async () => (rounds += 1) >= ROUNDS_BEFORE);
  const p50MsBefore = medianOf(flow.waitsMs.splice(0));
  const callsBefore = calls();
  kms.disable(kmsKeyArn);
  return using(openWorker, stage, async () => {
    await flowUntil(async () => (await gateNow()) !== undefined);
    const callsAtShut = Math.min(PROCESSES, calls() - callsBefore);
    screen.say(
      `${tenant} disabled its KMS key. A second worker, which has no data key of ${tenant} yet, was denied by KMS, and the gate shut.`,
    );
    await flowUntil(async () => ((await gateNow())?.probes ?? 0) >= PROBES_SEEN);
    const { probes = 0 } = gate ?? {};
    const kmsCallsWhileShut = calls() - callsBefore - callsAtShut;
    const p50MsDuring = medianOf(flow.waitsMs.splice(0));
    screen.say(`Its jobs are parked. KMS received ${kmsCallsWhileShut} calls for the key, by ${probes} probes.`);

    kms.enable(kmsKeyArn);
    let jobs = 0;
    let releasingFrom = 0;
    const isReleased = await waitUntil(async () => {
      const polledAt = performance.now();
      const { jobs: left = 0 } = (await gateNow()) ?? {};
      if (left >= jobs) [jobs, releasingFrom] = [left, polledAt];
      return left === 0;
    }, signal);
    const releasedPerSecond = isReleased ? Math.round((jobs * 1000) / (performance.now() - releasingFrom)) : 0;
    screen.say(`${tenant} enabled its KMS key. Two successful probes opened the gate, and ${jobs} jobs were released.`);
    const states = await finishedStates(stage, 'index', flow.jobIds);
    const lost = states.filter((state) => state !== 'done').length;
    screen.say(`${number(states.length - lost)} of these ${number(states.length)} documents are stored.`);
    const parked = { jobs, probes, kmsCallsWhileShut, releasedPerSecond, lost };
    return { figures: { parked, others: { p50MsBefore, p50MsDuring } }, requests: flow.requests };
  });
}

/** Enqueues some documents of each tenant, and waits until those of the tenants other than the victim are stored. */
async function sendRound(stage: Stage, victim: string, pages: readonly Page[], flow: Flow): Promise<void> {
  const { producer, tenants, signal } = stage;
  const senders = tenants.flatMap(({ tenant }) =>
    Array<string>(tenant === victim ? VICTIM_PER_ROUND : OTHERS_PER_ROUND).fill(tenant),
  );
  const requests = senders.map((tenant, at) =>
    requestOf(tenant, 'flow', pages[(flow.requests.length + at) % pages.length]!, randomWord()),
  );
  flow.requests.push(...requests);
  const sentAt = Date.now();
  const jobIds = await enqueueAll(stage, requests);
  flow.jobIds.push(...jobIds);
  const waiting = new Set(jobIds.filter((_, at) => senders[at] !== victim));
  await waitUntil(async () => {
    for (const id of waiting) {
      const { state, since = sentAt } = await producer.status(id);
      if (state === 'done') flow.waitsMs.push(Math.max(0, since - sentAt));
      if (state === 'done' || state === 'dead') waiting.delete(id);
    }
    return waiting.size === 0;
  }, signal);
}

/** 0 for no values. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
}
