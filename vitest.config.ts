import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// Each file and each child is a process of its own that would compile the same libraries again. As bin/sealdex.js does it.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('.sealdex/compiled', import.meta.url));

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'packages/*/test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    // Most of the time of most files is waiting for other processes: two at a time, also where there are two cores.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    execArgv: ['--expose-gc'],
  },
});
