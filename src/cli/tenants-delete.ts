// `sealdex tenants delete`: deletes a tenant and all its data permanently, after its name was typed.
import { Command } from 'commander';
import type { Counts, DeletionStep, DeletionResult, Operator } from '../app/app.ts';
import { systemClock } from '../runtime/clock.ts';
import { promptUser, canAsk } from './prompt.ts';
import { checkName } from '../runtime/names.ts';
import { UsageError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT, TENANT } from './option-texts.ts';
import { counted, printJson, printLine, printNotice, time } from './terminal.ts';
import { approximateDuration } from '../runtime/units.ts';
import { host } from './host.ts';

const UNFINISHED = 69;

interface Options {
  readonly yes?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

export function deleteTenantCommand(): Command {
  return new Command('delete')
    .description('permanently delete a tenant and all its data')
    .argument('<tenant>', TENANT)
    .option('--yes <name>', 'repeat the tenant name to skip the prompt')
    .option('--dry-run', 'print counts and change nothing')
    .option('--json', `${JSON_OBJECT}; requires --yes or --dry-run`)
    .addHelpText(
      'after',
      `
The tenant is disabled immediately: requests are rejected, reads fail and its
jobs end. Its jobs, dead letters, documents, original files, intake content,
older versions and unfinished uploads are deleted at once. They are deleted
again after 17m, when no process can still have the tenant cached, until a full
pass finds nothing. If interrupted, run the command again.

tenants/<tenant>.json remains with the KMS keys the tenant had; the name cannot
be reused. Copies elsewhere (backups, bucket replicas, logs) are not deleted.
To keep a copy of the data, export it first: sealdex tenants export.

Exit codes:
  0   everything deleted
  69  data remains, or S3 permissions prevented a complete search

Examples:
  sealdex tenants delete acme --dry-run
  sealdex tenants delete acme --yes acme`,
    )
    .action(async (tenant: string, options: Options) => {
      checkName(tenant, 'tenant');
      checkChoice(tenant, options);
      await untilInterrupted((signal) =>
        withOperator((operator) =>
          options.dryRun ? dryRun(operator, tenant, options, signal) : run(operator, tenant, options, signal),
        ),
      );
    });
}

/** @throws UsageError */
function checkChoice(tenant: string, { yes, dryRun: isDry, json: asJson }: Options): void {
  if (isDry) return;
  if (yes !== undefined && yes !== tenant) throw new UsageError(`--yes must repeat the tenant name: --yes ${tenant}`);
  if (yes === undefined && (asJson || !canAsk()))
    throw new UsageError(`Cannot ask for confirmation without a terminal. Use --yes ${tenant}.`);
}

/** Singular and plural of each kind. */
const WORDS: Readonly<Record<keyof Counts, readonly [one: string, many: string]>> = {
  jobs: ['job', 'jobs'],
  letters: ['dead letter', 'dead letters'],
  documents: ['document or deletion', 'documents and deletions'],
  originals: ['original file', 'original files'],
  intake: ['object in intake', 'objects in intake'],
  versions: ['older version', 'older versions'],
  uploads: ['unfinished upload', 'unfinished uploads'],
  traces: ['other item', 'other items'],
};

const wordsOf = (counts: Counts): string =>
  Object.entries(WORDS)
    .map(([kind, words]) => ({ count: counts[kind as keyof Counts], words }))
    .filter(({ count }) => count > 0)
    .map(({ count, words }) => counted(count, ...words))
    .join(', ') || 'nothing';

async function dryRun(operator: Operator, tenant: string, { json: asJson }: Options, signal: AbortSignal) {
  const found = await operator.countTenant(tenant, signal);
  if (asJson) return printJson(found);
  const { busy, ...counts } = found.leftByKind;
  printLine(`Tenant ${tenant} has ${wordsOf({ ...counts, jobs: counts.jobs + busy })}.`);
  sayUnseen(found);
}

async function run(operator: Operator, tenant: string, options: Options, signal: AbortSignal): Promise<void> {
  if (options.yes === undefined && !(await isConfirmed(operator, tenant, signal)))
    return printNotice('Nothing was deleted.');
  const tellRarely = progressPrinter();
  const left = await operator.deleteTenant(tenant, {
    signal,
    onStep: options.json ? () => {} : printStep,
    onProgress: options.json ? () => {} : tellRarely,
  });
  const { mayRemain } = left;
  if (left.left > 0 || mayRemain.length > 0) host().exitCode = UNFINISHED;
  if (options.json) return printJson(left);
  printLine(`Deleted for tenant ${tenant}: ${wordsOf(left.removed)}.`);
  sayUnseen(left);
  const { busy, ...counts } = left.leftByKind;
  if (left.left === 0)
    return printLine(
      mayRemain.length === 0
        ? 'No data remains.'
        : `No visible data remains. Some ${mayRemain.map((kind) => WORDS[kind][1]).join(' and ')} may remain.`,
    );
  if (busy > 0) printNotice(`${counted(busy, 'job is', 'jobs are')} still running in a worker.`);
  printNotice(
    `Remaining: ${wordsOf(counts)}. Data is still being written or cannot be deleted. Run the command again.`,
  );
  printLine(`${counted(left.left, 'item')} left.`);
}

async function isConfirmed(operator: Operator, tenant: string, signal: AbortSignal): Promise<boolean> {
  const { leftByKind } = await operator.countTenant(tenant, signal);
  printNotice(`Tenant ${tenant} has ${wordsOf(leftByKind)}. All of it will be permanently deleted.`);
  return (await promptUser('Type the tenant name to confirm: ', signal)) === tenant;
}

function printStep(step: DeletionStep): void {
  if (step.step === 'marked') printNotice(`Tenant disabled at ${time(step.at)}.`);
  if (step.step === 'shut') printNotice('Its data keys were erased from memory in all processes.');
  if (step.step === 'waiting') {
    const left = approximateDuration(step.until - systemClock.now());
    printNotice(
      `Waiting until ${time(step.until)} (${left}) before the final pass: 5m for cached tenants, 10m for uploads, 2m for clock differences. You can press Ctrl-C and run the command again later.`,
    );
  }
  if (step.step === 'pass') printNotice(`Pass finished: ${step.found} found.`);
}

const PROGRESS_INTERVAL_MS = 2000;

/** Prints a line every 2 s; not a progress bar, because the total is unknown. */
function progressPrinter(): (removed: Counts) => void {
  let toldAt = systemClock.monotonic();
  return (removed) => {
    if (systemClock.monotonic() - toldAt < PROGRESS_INTERVAL_MS) return;
    toldAt = systemClock.monotonic();
    printNotice(`deleted ${wordsOf(removed)}`);
  };
}

function sayUnseen({ unseen }: DeletionResult): void {
  const { versions, uploads } = unseen;
  if (versions !== undefined)
    printNotice(
      `Could not list object versions (${versions}). If the bucket has versioning, old versions remain. Allow s3:ListBucketVersions and s3:DeleteObjectVersion and run the command again.`,
    );
  if (uploads !== undefined)
    printNotice(
      `Could not list unfinished multipart uploads (${uploads}). Allow s3:ListBucketMultipartUploads and s3:AbortMultipartUpload and run the command again.`,
    );
}
