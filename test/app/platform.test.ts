// Platform state of a worker: which workers a proven fault pauses, and when they resume.
import { expect, test } from 'vitest';
import { createPlatform, type Platform } from '../../src/app/platform.ts';
import type { KeyAccess } from '../../src/app/key-access.ts';
import { silentLog } from '../../src/runtime/log.ts';
import type { Store } from '../../src/store/store.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';

let isWorking = false;

const open = (): Platform =>
  createPlatform({
    clock: new FakeClock(),
    log: silentLog,
    store: {} as Store,
    keyAccess: { platformKeyWorks: async () => isWorking } as KeyAccess,
    canary: async () => isWorking,
  });

function recorder(): { readonly calls: string[]; pause(): void; resume(): void } {
  const calls: string[] = [];
  return { calls, pause: () => void calls.push('pause'), resume: () => void calls.push('resume') };
}

test('a proven fault pauses the workers of before and those that start during it, and its end resumes all', async () => {
  isWorking = false;
  const platform = open();
  const [before, during] = [recorder(), recorder()];
  platform.control(before);
  expect(before.calls).toEqual([]);
  platform.suspect('PLATFORM_KEY');
  await eventually(() => platform.code === 'PLATFORM_KEY');
  platform.control(during);
  expect([before.calls, during.calls]).toEqual([['pause'], ['pause']]);
  isWorking = true;
  await platform.tick();
  expect([before.calls, during.calls]).toEqual([
    ['pause', 'resume'],
    ['pause', 'resume'],
  ]);
  await platform.stop();
});
