import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { testFiles } from './test/support/test-files.ts';

// Each file and each child is a process of its own that would compile the same libraries again. As bin/sealdex.js does it.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('.sealdex/compiled', import.meta.url));

const { fast, full, long } = testFiles();
const globalSetup = ['test/support/global-setup.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    setupFiles: ['test/support/raised-deadlines.ts'],
    // Most of the time of most files is waiting for other processes: three at a time, also where there are two cores.
    maxWorkers: 3,
    testTimeout: 600_000,
    hookTimeout: 600_000,
    execArgv: ['--expose-gc'],
    // A second failure is the code's fault; the output of CI names what was repeated.
    retry: process.env['CI'] === 'true' ? 1 : 0,
    // One process for many files: importing the application again for each would be a quarter of the time.
    isolate: false,
    projects: [
      { extends: true, test: { name: 'fast', include: [...fast] } },
      { extends: true, test: { name: 'full', include: [...full], globalSetup } },
      {
        extends: true,
        test: { name: 'long', include: [...long], globalSetup, testTimeout: 600_000, hookTimeout: 600_000 },
      },
    ],
  },
});
