// Platform state of a worker: checks whether a suspected platform fault is real, and pauses the queue workers while it is.
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { createPause, isPausing, type Pause, type PausingCode } from '../parking/pause.ts';
import type { Store } from '../store/store.ts';
import { readTenantFile, listTenantNames } from '../store/tenants.ts';
import type { Canary } from '../handlers/outcome.ts';
import type { Outcome } from '../jobs/outcome.ts';
import type { KeyAccess } from './key-access.ts';

export interface PlatformDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: Store;
  readonly keyAccess: Pick<KeyAccess, 'keyMonitor' | 'platformKeyWorks'>;
  readonly canary: Canary;
}

/** Takes no jobs between `pause` and `resume`. */
interface Pausable {
  pause(): void;
  resume(): void;
}

export interface Platform extends Pick<Pause, 'onPlatformSuspected' | 'stop' | 'tick'> {
  readonly code: PausingCode | undefined;
  /** Called with the outcome of every job. */
  readonly onOutcome: (outcome: Outcome) => void;
  /** Pauses the worker while a platform fault is proven, starting now. */
  readonly control: (worker: Pausable) => void;
}

/** If S3 fails for this long without a success, it is an outage. */
const LASTING_MS = 30_000;
const PROOF_MS = 15_000;

export function createPlatform({ clock, log, store, keyAccess, canary }: PlatformDeps): Platform {
  const canaryWorks = (): Promise<boolean> => canary(AbortSignal.timeout(PROOF_MS)).catch(() => false);
  const works: Readonly<Record<PausingCode, () => Promise<boolean>>> = {
    PLATFORM_CREDENTIALS: async () => (await canaryWorks()) && keyAccess.platformKeyWorks(),
    PLATFORM_KEY: () => keyAccess.platformKeyWorks(),
    KMS_FAILED: () => keyAccess.platformKeyWorks(),
    PLATFORM_DENIED: () => keyAccess.keyMonitor.anyKeyWorks(),
    PLATFORM_STORE: canaryWorks,
    STORE_FAILED: canaryWorks,
    PLATFORM_TENANTS: () => canReadTenants(store),
  };
  const controlled = new Set<Pausable>();
  const pause = createPause({
    clock,
    log,
    works: (code) => works[code](),
    onPause: () => controlled.forEach((worker) => worker.pause()),
    onResume: () => controlled.forEach((worker) => worker.resume()),
  });
  let storeFailsSince: number | undefined;
  return {
    get code() {
      return pause.code;
    },
    onPlatformSuspected: (code) => pause.onPlatformSuspected(code),
    tick: () => pause.tick(),
    stop: () => pause.stop(),
    control(worker) {
      controlled.add(worker);
      if (pause.code !== undefined) worker.pause();
    },
    onOutcome(outcome) {
      if (outcome.kind === 'done') storeFailsSince = undefined;
      if (outcome.kind === 'pause' && isPausing(outcome.code)) pause.onPlatformSuspected(outcome.code);
      if (outcome.kind !== 'retry' || outcome.code !== 'STORE_FAILED' || outcome.spendsAttempt) return;
      storeFailsSince ??= clock.monotonic();
      if (clock.monotonic() - storeFailsSince >= LASTING_MS) pause.onPlatformSuspected('STORE_FAILED');
    },
  };
}

/** Reads one tenant file without parsing it: a malformed file of one tenant is not a platform fault. */
async function canReadTenants(store: Store): Promise<boolean> {
  try {
    for await (const name of listTenantNames(store)) {
      await readTenantFile(store, name);
      return true;
    }
    return true;
  } catch {
    return false;
  }
}
