// The pause of a worker after platform errors: the job outcomes that start it, and those that do not end it.
import { expect, test } from 'vitest';
import { createPlatform, type PlatformDeps } from '../../src/app/platform.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';

const depsOf = (platformKeyWorks: () => Promise<boolean>): PlatformDeps =>
  ({
    clock: new FakeClock(),
    log: silentLog,
    store: {},
    keyAccess: { platformKeyWorks },
    canary: async () => true,
  }) as unknown as PlatformDeps;

test('a job of a tenant with its own key that succeeds does not end the pause for the platform key', async () => {
  let isWorking = false;
  const platform = createPlatform(depsOf(async () => isWorking));
  platform.onOutcome({ kind: 'pause', code: 'PLATFORM_KEY' });
  await eventually(() => platform.code === 'PLATFORM_KEY');
  platform.onOutcome({ kind: 'done' });
  await platform.tick();
  expect(platform.code).toBe('PLATFORM_KEY');
  isWorking = true;
  await platform.tick();
  expect(platform.code).toBeUndefined();
  await platform.stop();
});
