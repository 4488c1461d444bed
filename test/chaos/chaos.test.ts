// A short chaos run: faults of workers, Redis, S3 and KMS under load leave no wrong result.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url));

/** The seed of a run that failed is in its output: `SEALDEX_CHAOS_SEED=N npm run test:chaos` repeats its schedule. */
test('kills and outages of workers, Redis, S3 and KMS under load leave no wrong result', async () => {
  const { SEALDEX_CHAOS_MINUTES: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [RUN], { env, maxBuffer: 2 ** 26 }).catch(
    (error: { stdout: string; stderr: string }) => {
      throw new Error(`${error.stdout}\n${error.stderr}`);
    },
  );
  expect(stdout).toMatch(/"wrong":0/);
});
