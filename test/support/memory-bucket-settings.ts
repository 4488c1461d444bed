// The test double of the port of a bucket's settings: settings and injected errors, in memory. No network.
import { FaultBook } from '../../packages/local-aws/src/fault-injection.ts';
import { SealdexError } from '../../src/runtime/errors.ts';
import type { BucketSettings, LifecycleRule } from '../../src/store/bucket-settings.ts';
import { StoreError } from '../../src/store/store.ts';
import type { MemoryStoreFault } from './memory-store.ts';

type Setting = keyof Omit<BucketSettings, 'close'>;

export interface MemorySettings {
  readonly versioning?: 'off' | 'on' | 'suspended';
  readonly lifecycle?: readonly LifecycleRule[];
  /** `none`: the store reports no encryption. `AES256` by default. */
  readonly encryption?: string;
}

/** The settings of one bucket, for any number of clients. */
export class MemoryBucketSettings {
  /** An injected error without a match affects all settings. */
  readonly faults = new FaultBook<Setting, Setting, Extract<MemoryStoreFault, { kind: 'error' | 'hang' }>>(
    (match, setting) => match === setting,
  );
  #settings: MemorySettings = {};

  /** Replaces all settings. */
  set(settings: MemorySettings): void {
    this.#settings = settings;
  }

  /** A client of one process. */
  connect(): BucketSettings {
    const closing = new AbortController();
    const run = <T>(setting: Setting, signal: AbortSignal, read: (settings: MemorySettings) => T) =>
      this.#run(setting, AbortSignal.any([signal, closing.signal]), read);
    return {
      versioning: (signal) => run('versioning', signal, ({ versioning = 'off' }) => versioning),
      lifecycle: (signal) => run('lifecycle', signal, ({ lifecycle = [] }) => [...lifecycle]),
      encryption: (signal) =>
        run('encryption', signal, ({ encryption = 'AES256' }) => (encryption === 'none' ? undefined : encryption)),
      close: () => closing.abort(new SealdexError('STORE_FAILED', 'The client is closed.', { reason: 'Closed' })),
    };
  }

  /** Each call takes a turn of the event loop, like a network call. */
  async #run<T>(setting: Setting, signal: AbortSignal, read: (settings: MemorySettings) => T): Promise<T> {
    signal.throwIfAborted();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    for (const { fault, wait } of this.faults.take(setting)) {
      if (fault.kind === 'error') throw new StoreError(fault.error, fault.reason);
      await wait(signal);
    }
    signal.throwIfAborted();
    return read(this.#settings);
  }
}
