// `sealdex extract`: prints the record that would be stored for a file, without queue, keys or settings of an installation.
// Extracts in a child process, as a worker does.
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command } from 'commander';
import { systemClock } from '../runtime/clock.ts';
import { loadConfig, type Config, type Environment } from '../runtime/config.ts';
import { READERS_MISSING, readersFolder } from '../extract/readers.ts';
import { unreadable } from '../extract/reasons.ts';
import { checkName } from '../runtime/names.ts';
import { FileReadError, MissingPrerequisiteError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant?: string;
  readonly corpus?: string;
  readonly id?: string;
}

const STALL_NOTICE_MS = 2000;

export function extractCommand(): Command {
  return new Command('extract')
    .description('extract a file locally and print the result')
    .argument('<file>', 'file to extract')
    .option('--tenant <name>', 'tenant to write into the record')
    .option('--corpus <name>', 'corpus to write into the record')
    .option('--id <id>', 'document id to write into the record')
    .addHelpText(
      'after',
      `
Prints the record as NDJSON: the document, then its parts. Needs no settings;
SEALDEX_ limits apply if set.

Exit codes:
  0   success
  65  the file cannot be extracted
  66  the file does not exist or is not readable

Examples:
  sealdex extract report.pdf
  sealdex extract letter.eml --id letter-1 | head -1`,
    )
    .action((file: string, options: Options) => untilInterrupted((signal) => run(file, options, signal)));
}

/** Settings that limit the extraction; other settings are not needed. */
const LIMITS = [
  'SEALDEX_FILE_BYTES',
  'SEALDEX_EXTRACT_MS',
  'SEALDEX_EXTRACT_HEAP_BYTES',
  'SEALDEX_PART_CHARS',
  'SEALDEX_METADATA_BYTES',
  'SEALDEX_DOCUMENT_BYTES',
] as const;

/** Required settings that this command never uses. */
const NOWHERE = {
  REDIS_URL: 'redis://nowhere',
  SEALDEX_BUCKET: 'nowhere',
  SEALDEX_PLATFORM_KEY_ARN: 'arn:aws:kms:us-west-2:000000000000:key/nowhere',
};

/** @throws SealdexError `CONFIG_INVALID` */
const limitsOf = (env: Environment): Config =>
  loadConfig(NOWHERE, Object.fromEntries(LIMITS.map((name) => [name, env[name]])));

async function run(file: string, options: Options, signal: AbortSignal): Promise<void> {
  if (options.tenant !== undefined) checkName(options.tenant, 'tenant');
  if (options.corpus !== undefined) checkName(options.corpus, 'corpus');
  if (readersFolder() === undefined) throw new MissingPrerequisiteError(READERS_MISSING);
  const config = limitsOf(host().env);
  const bytes = await bytesOf(file, config.fileBytes, signal);
  const { tenant = '', corpus = '', id = '' } = options;
  const { createExtractPool } = await import('../extract/pool.ts');
  await using pool = createExtractPool({
    clock: systemClock,
    size: 1,
    extractMs: config.extractMs,
    heapBytes: config.extractHeapBytes,
    limits: config,
  });
  const still = systemClock.after(STALL_NOTICE_MS, () => printNotice('Still extracting the file.'));
  try {
    const place = { tenant, corpus, id, revision: 0 };
    const record = await pool.extract({ bytes, filename: basename(file) }, place, signal);
    host().stdout.write(record.bytes);
  } finally {
    still.cancel();
  }
}

async function bytesOf(file: string, fileBytes: number, signal: AbortSignal): Promise<Buffer> {
  try {
    const facts = await stat(file);
    // A pipe or a device may never end.
    if (!facts.isFile()) throw new FileReadError(file, facts.isDirectory() ? 'EISDIR' : 'ENOTFILE');
    if (facts.size > fileBytes) throw unreadable('too-large');
    return await readFile(file, { signal });
  } catch (error) {
    signal.throwIfAborted();
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new FileReadError(file, code ?? 'unknown');
  }
}
