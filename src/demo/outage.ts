// The second act: a tenant disables its KMS key while documents flow, and enables it again. What was promised is measured.
// A promise that is not kept shows in the figures; only an abort and a broken machine throw.
import { startWorker } from '../app/app.ts';
import { sleep, systemClock } from '../runtime/clock.ts';
import type { Settings } from '../runtime/config.ts';
import { redisKeys, type Redis } from '../runtime/redis.ts';
import type { KmsServer } from '@sealdex/local-aws';
import type { DemoTenant } from './cast.ts';
import type { CorpusFile } from './corpus.ts';
import { Flow, medianOf } from './flow.ts';
import { watchGate, type GateWatch } from './gate-watch.ts';
import { failedOf, type Operator, type Producer, using } from './indexing.ts';
import type { OutageFigures } from './outage-story.ts';
import * as story from './outage-story.ts';
import type { DemoScreen } from './story.ts';

export interface OutageStage {
  readonly kms: Pick<KmsServer, 'counts' | 'state' | 'enable' | 'disable'>;
  readonly settings: Settings;
  readonly redis: Redis;
  readonly operator: Operator;
  readonly producer: Producer;
  readonly tenants: readonly DemoTenant[];
  /** The one whose key is disabled. */
  readonly victim: DemoTenant;
  readonly files: readonly CorpusFile[];
  readonly screen: DemoScreen;
  readonly signal: AbortSignal;
  /** When waiting for the next thing to happen ends, whatever has. */
  readonly deadlineMs?: number;
}

/** Nobody who watches waits half a minute for a probe. */
const PROBE_MS = 500;
/** A third of the longest time counts in the first day: so probes come at an even pace. */
const PROBES_SOON: Settings = { SEALDEX_PROBE_MIN_MS: PROBE_MS, SEALDEX_PROBE_MAX_MS: 3 * PROBE_MS };

const BEFORE_MS = 1200;
const PROBES_SEEN = 3;
const ROW_EVERY_MS = 500;
const QUIET_MS = 100;
const MOST_LOOKS = 50;
const RELEASE_LOOK_MS = 2;
const DEADLINE_MS = 20_000;

/** The producer, and two workers. */
const PROCESSES = 3;

export async function showOutage(stage: OutageStage): Promise<OutageFigures> {
  const { kms, redis, producer, tenants, victim, files, screen, signal } = stage;
  const settings: Settings = { ...stage.settings, ...PROBES_SOON };
  const ports: number[] = [];
  const keys = redisKeys(String(settings.SEALDEX_QUEUE));
  const watch = watchGate({ redis, keys, kms, ...victim, ports: () => ports, signal });
  const flow = new Flow({ producer, tenants, apart: victim.tenant, files, signal });
  const scene = { stage, watch, flow, rows: new Rows(screen, watch, flow, victim.tenant) };

  story.opening(screen, victim, PROBE_MS);
  return using(await addWorker(settings, ports), async () => {
    const begunAt = systemClock.now();
    await flowUntil(scene, async () => systemClock.now() - begunAt >= BEFORE_MS);
    const p50MsBefore = medianOf(flow.waits(begunAt, systemClock.now()));

    kms.disable(victim.keyArn);
    const disabledAt = systemClock.now();
    const callsBefore = watch.calls();
    story.disabled(screen, victim.tenant);
    return using(await addWorker(settings, ports), async () => {
      await flowUntil(scene, async () => (await watch.gate()) !== 'open');
      const atShutting = Math.min(PROCESSES, watch.calls() - callsBefore);
      await flowUntil(scene, async () => (await watch.probes()) >= PROBES_SEEN && (await watch.parked()) > 0);
      const shut = await whenQuiet(watch, signal);

      kms.enable(victim.keyArn);
      story.enabled(screen, victim.tenant);
      const release = { jobs: 0, perSecond: 0, isOver: false };
      await Promise.all([timeRelease(scene, release), flowUntil(scene, async () => release.isOver)]);
      const p50MsDuring = medianOf(flow.waits(disabledAt, systemClock.now()));
      const lost = await lostOf(scene);
      await scene.rows.show();
      const figures: OutageFigures = {
        parked: {
          jobs: release.jobs,
          probes: shut.probes,
          kmsCallsWhileShut: shut.calls - callsBefore - atShutting,
          releasedPerSecond: Math.round(release.perSecond),
          lost,
        },
        others: { p50MsBefore, p50MsDuring },
      };
      story.over(screen, victim.tenant, figures, flow.jobIds.length);
      return figures;
    });
  });
}

interface Scene {
  readonly stage: OutageStage;
  readonly watch: GateWatch;
  readonly flow: Flow;
  readonly rows: Rows;
}

async function addWorker(settings: Settings, ports: number[]): ReturnType<typeof startWorker> {
  const worker = await startWorker(settings, { host: '127.0.0.1', log: 'silent' });
  ports.push(worker.port);
  return worker;
}

/** Rounds of documents until it is so, or the deadline. */
async function flowUntil({ stage, flow, rows }: Scene, isSo: () => Promise<boolean>): Promise<void> {
  const until = systemClock.monotonic() + (stage.deadlineMs ?? DEADLINE_MS);
  do {
    stage.signal.throwIfAborted();
    await flow.round();
    await rows.showIfDue();
  } while (!(await isSo()) && systemClock.monotonic() < until);
}

/** Probes and calls that belong together: read when no probe is under way. */
async function whenQuiet(watch: GateWatch, signal: AbortSignal): Promise<{ calls: number; probes: number }> {
  for (let look = 1; ; look++) {
    const calls = watch.calls();
    await sleep(systemClock, QUIET_MS, signal);
    const probes = await watch.probes();
    if (watch.calls() === calls || look === MOST_LOOKS) return { calls, probes };
  }
}

/** From the last look at which none was released to the first at which all were. */
async function timeRelease(
  { stage, watch }: Scene,
  release: { jobs: number; perSecond: number; isOver: boolean },
): Promise<void> {
  const until = systemClock.monotonic() + (stage.deadlineMs ?? DEADLINE_MS);
  let begunAt = systemClock.monotonic();
  try {
    while (systemClock.monotonic() < until) {
      const askedAt = systemClock.monotonic();
      const parked = await watch.parked();
      if (parked >= release.jobs) [release.jobs, begunAt] = [parked, askedAt];
      else if (parked === 0) {
        release.perSecond = (release.jobs * 1000) / (systemClock.monotonic() - begunAt);
        return;
      }
      await sleep(systemClock, RELEASE_LOOK_MS, stage.signal);
    }
  } finally {
    release.isOver = true;
  }
}

const lostOf = ({ stage, flow }: Scene): Promise<number> =>
  failedOf({
    ...stage,
    jobIds: flow.jobIds,
    progress: () => {},
    deadlineMs: stage.deadlineMs ?? DEADLINE_MS,
  });

/** The table, a row now and then: how things stand, and how long the others waited since the row before. */
class Rows {
  readonly #screen: DemoScreen;
  readonly #watch: GateWatch;
  readonly #flow: Flow;
  readonly #begunAt = systemClock.now();
  readonly #tenant: string;
  #callsBefore: number | undefined;
  #lastAt = systemClock.now();

  constructor(screen: DemoScreen, watch: GateWatch, flow: Flow, tenant: string) {
    this.#screen = screen;
    this.#watch = watch;
    this.#flow = flow;
    this.#tenant = tenant;
  }

  async showIfDue(): Promise<void> {
    if (systemClock.now() - this.#lastAt >= ROW_EVERY_MS) await this.show();
  }

  async show(): Promise<void> {
    const watch = this.#watch;
    const now = systemClock.now();
    if (this.#callsBefore === undefined) story.columns(this.#screen, this.#tenant);
    this.#callsBefore ??= watch.calls();
    const waits = this.#flow.waits(this.#lastAt, now);
    this.#lastAt = now;
    const [gate, parked, probes] = await Promise.all([watch.gate(), watch.parked(), watch.probes()]);
    story.row(this.#screen, {
      seconds: (now - this.#begunAt) / 1000,
      key: watch.key(),
      gate,
      parked,
      othersStored: waits.length,
      othersMs: medianOf(waits),
      calls: watch.calls() - this.#callsBefore,
      probes,
    });
  }
}
