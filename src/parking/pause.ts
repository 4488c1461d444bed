// The pause of a process: while the platform is at fault (our credentials, platform key, bucket, or AWS itself), it takes
// no jobs. A pause needs proof, and ends by itself when the proof is gone.
// Proofs are given as functions; what pausing does to a queue, whoever is told knows.
import { repeat, type Clock, type Loop } from '../runtime/clock.ts';
import type { Code } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

/** The faults that pause a process. */
export const PAUSING = [
  'PLATFORM_CREDENTIALS',
  'PLATFORM_KEY',
  'PLATFORM_DENIED',
  'PLATFORM_STORE',
  'PLATFORM_TENANTS',
  'KMS_FAILED',
  'STORE_FAILED',
] as const satisfies readonly Code[];

export type PausingCode = (typeof PAUSING)[number];

export const isPausing = (code: Code): code is PausingCode => (PAUSING as readonly Code[]).includes(code);

export interface Pause {
  /** Why this process takes no jobs now. */
  readonly code: PausingCode | undefined;
  /** Somebody met this fault: it is proven or dropped, once for all who meet it at the same time. */
  readonly onPlatformSuspected: (code: PausingCode) => void;
  /** Looks whether the fault is gone. */
  readonly tick: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface PauseDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether what the code speaks of works; must end within seconds and not throw. */
  readonly works: (code: PausingCode) => Promise<boolean>;
  readonly onPause: (code: PausingCode) => void;
  readonly onResume: () => void;
}

const LOOK_EVERY_MS = 5000;

export function createPause({ clock, log, works, onPause, onResume }: PauseDeps): Pause {
  let current: PausingCode | undefined;
  let proving: Promise<void> | undefined;
  let isStopped = false;

  const prove = async (code: PausingCode): Promise<void> => {
    if (await works(code)) return;
    if (isStopped || current !== undefined) return;
    current = code;
    log.error({ code }, 'platform fault, worker paused');
    onPause(code);
  };

  const tick = async (): Promise<void> => {
    const code = current;
    if (code === undefined || !(await works(code)) || isStopped) return;
    current = undefined;
    log.info({ code }, 'platform recovered, worker resumed');
    onResume();
  };

  const loop: Loop = repeat(clock, LOOK_EVERY_MS, tick);
  return {
    get code() {
      return current;
    },
    onPlatformSuspected(code) {
      if (current !== undefined || isStopped) return;
      proving ??= prove(code).finally(() => (proving = undefined));
    },
    tick,
    // A proof that is under way ends with what it asks, and changes nothing any more.
    async stop() {
      isStopped = true;
      void loop.stop();
    },
  };
}
