// Chaos runs find builds that are broken on purpose.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('../chaos/run.ts', import.meta.url));

/** Schedules with long errors of S3 on deletes. One may miss what a build does wrong; this many in a row do not. */
const SEEDS = [78, 101, 32, 14];

async function wrongResults(patch: string, seed: number): Promise<string> {
  const env = { ...process.env, SEALDEX_CHAOS_PATCHES: patch, SEALDEX_CHAOS_SEED: String(seed) };
  const run = promisify(execFile)(process.execPath, [RUN], { env, maxBuffer: 2 ** 26 });
  return run.then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  );
}

test.each([
  ['no-conditional-write', 'each document reads back as its last accepted revision'],
  ['lost-leftovers', 'no content of finished jobs is left in intake'],
])('a chaos run finds the broken build %s', async (patch, claim) => {
  let output = '';
  for (const seed of SEEDS) if (!output.includes(claim)) output = await wrongResults(patch, seed);
  expect(output).toContain(`wrong: ${claim}`);
});
