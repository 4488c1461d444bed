// Pause of a process: it takes no jobs during a platform fault (credentials, platform key, bucket, or AWS itself).
// A pause starts only if the given check confirms the fault, and ends automatically when the check succeeds.
import { repeat, type Clock, type Loop } from '../runtime/clock.ts';
import type { Code } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

/** Codes of faults that pause a process. */
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
  /** Why this process takes no jobs; undefined if it is not paused. */
  readonly code: PausingCode | undefined;
  /** Checks a suspected fault, and pauses if it is confirmed. Concurrent calls share one check. */
  readonly onPlatformSuspected: (code: PausingCode) => void;
  /** Checks whether the fault has ended, and resumes if so. */
  readonly tick: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface PauseDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Checks whether the service behind the code works. Must end within seconds and not throw. */
  readonly works: (code: PausingCode) => Promise<boolean>;
  readonly onPause: (code: PausingCode) => void;
  readonly onResume: () => void;
}

const CHECK_INTERVAL_MS = 5000;

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

  const loop: Loop = repeat(clock, CHECK_INTERVAL_MS, tick);
  return {
    get code() {
      return current;
    },
    onPlatformSuspected(code) {
      if (current !== undefined || isStopped) return;
      proving ??= prove(code).finally(() => (proving = undefined));
    },
    tick,
    // A running check ends with its calls, and has no effect after this.
    async stop() {
      isStopped = true;
      void loop.stop();
    },
  };
}
