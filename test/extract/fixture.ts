// Pools with extractors for tests, and information about processes.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/runtime/clock.ts';
import { createExtractPool, type ExtractPool, type ExtractPoolOptions } from '../../src/extract/pool.ts';
import { processorTime } from '../../src/extract/processes.ts';

const MIB = 1_048_576;

const LIMITS = { partChars: 16_384, metadataBytes: MIB, documentBytes: 32 * MIB };
export const PLACE = { tenant: 'acme', corpus: 'docs', id: 'a.txt', revision: 7 };

export const childEntry = (name: string): string => fileURLToPath(new URL(`./children/${name}.ts`, import.meta.url));

export const file = (text: string) => ({ bytes: Buffer.from(text), filename: 'a.txt' });

export function openPool(options: Partial<ExtractPoolOptions> = {}): ExtractPool {
  const entry = childEntry('hook');
  const bounds = { size: 1, extractMs: 30_000, heapBytes: 64 * MIB, limits: LIMITS };
  return createExtractPool({ clock: systemClock, ...bounds, entry, ...options });
}

/** Runs the words as an action of the extractor, and returns its result. */
export async function runHook(pool: ExtractPool, words: string, signal?: AbortSignal): Promise<unknown> {
  const { bytes } = await pool.extract(file(words), PLACE, signal);
  return JSON.parse(bytes.toString());
}

export const isAlive = (pid: unknown): boolean => existsSync(`/proc/${String(pid)}`);

/** The child processes of a process. */
export const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );

/** CPU time of a process in milliseconds; 0 when it has ended. */
export const processorMs = (pid: number): number => processorTime(pid)?.usedMs ?? 0;
