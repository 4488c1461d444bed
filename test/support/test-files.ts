// Test files by their needs: the fast ones need neither Redis nor other processes, the long ones are in test/long.
import { globSync, readFileSync } from 'node:fs';
import { posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A test file or fixture with one of these starts Redis, a worker, an extractor, or another process. */
const NEEDS_PROCESSES = [
  /from 'node:child_process'/,
  /inject\('redisUrl'\)/,
  /\b(?:startRedis|startServices|startLocalAws|startWorker|createExtractPool)\b/,
];

export interface TestFiles {
  readonly fast: readonly string[];
  readonly full: readonly string[];
  readonly long: readonly string[];
}

/** Paths from the root of the repository. */
export function testFiles(): TestFiles {
  const all = globSync('{test,packages/*/test}/**/*.test.ts', { cwd: ROOT })
    .map((path) => path.split(sep).join('/'))
    .toSorted();
  const long = all.filter((path) => path.startsWith('test/long/'));
  const others = all.filter((path) => !path.startsWith('test/long/'));
  const known = new Map<string, boolean>();
  return {
    fast: others.filter((path) => !needsProcesses(path, known)),
    full: others.filter((path) => needsProcesses(path, known)),
    long,
  };
}

/** Decided by the text of the file and of the fixtures that it imports, directly or not. */
function needsProcesses(path: string, known: Map<string, boolean>): boolean {
  const before = known.get(path);
  if (before !== undefined) return before;
  known.set(path, false);
  const text = readFileSync(posix.join(ROOT, path), 'utf8');
  const needs =
    NEEDS_PROCESSES.some((pattern) => pattern.test(text)) ||
    [...text.matchAll(/^(?:import|export|\})[^'"]*from '(\.[^']+\.ts)'/gm)]
      .map(([, target = '']) => posix.join(posix.dirname(path), target))
      .filter((target) => /(?:^|\/)test\//.test(target))
      .some((target) => needsProcesses(target, known));
  known.set(path, needs);
  return needs;
}
