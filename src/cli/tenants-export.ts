// `sealdex tenants export`: exports all encrypted objects of a tenant, with instructions to decrypt them elsewhere.
import { Command } from 'commander';
import type { Exported } from '../app/app.ts';
import { SealdexError } from '../runtime/errors.ts';
import { checkName } from '../runtime/names.ts';
import { MissingPrerequisiteError, UsageError } from './failure.ts';
import { untilInterrupted } from './interrupt.ts';
import { withOperator } from './with-clients.ts';
import { JSON_OBJECT, TENANT } from './option-texts.ts';
import { progressBar, counted, printJson, printLine } from './terminal.ts';
import { approximateSize } from '../runtime/units.ts';

export function exportCommand(): Command {
  return new Command('export')
    .description("export a tenant's encrypted objects to a directory")
    .argument('<tenant>', TENANT)
    .argument('<dir>', 'an empty or new directory, or an unfinished export of this tenant to resume')
    .option('--json', JSON_OBJECT)
    .addHelpText(
      'after',
      `
Writes documents and original files, and manifest.ndjson, which also lists
deletions. No KMS key is needed; README.txt in the directory explains how to
decrypt with the tenant's key and the AWS Encryption SDK. Unchanged files are
skipped, so you can resume an interrupted export. Content of unfinished jobs is
not exported; their number is reported.

Example:
  sealdex tenants export acme ./acme-export`,
    )
    .action(async (tenant: string, dir: string, { json: asJson }: { json?: true }) => {
      checkName(tenant, 'tenant');
      await untilInterrupted((signal) =>
        withOperator(async (operator) => {
          const progress = asJson ? undefined : progressBar('exported');
          const onProgress = (done: number, total: number): void => progress?.update(done, total);
          try {
            summarize(await operator.exportTenant(tenant, dir, { signal, onProgress }), dir, asJson);
          } catch (error) {
            throw asWriteError(error, dir);
          } finally {
            progress?.end();
          }
        }),
      );
    });
}

function summarize(exported: Exported, dir: string, asJson: true | undefined): void {
  if (asJson) return printJson(exported);
  const { tenant, documents, originals, deletions, bytes, fetched, kept, kmsKeyArns, unknownKeyFiles, waiting } =
    exported;
  printLine(
    `Exported tenant ${tenant} to ${dir}: ${counted(documents, 'document')}, ${counted(originals, 'original file')}, ${counted(deletions, 'deletion')}, ${approximateSize(bytes)} (${fetched} fetched, ${kept} unchanged).`,
  );
  if (kmsKeyArns.length > 0)
    printLine(
      `KMS ${kmsKeyArns.length === 1 ? 'key' : 'keys'}: ${kmsKeyArns.join(', ')}. README.txt explains how to decrypt the files.`,
    );
  if (unknownKeyFiles > 0)
    printLine(
      `${counted(unknownKeyFiles, 'file is', 'files are')} invalid or encrypted under a key the tenant never used. Do not trust ${unknownKeyFiles === 1 ? 'it' : 'them'}.`,
    );
  const { jobs, letters, intake } = waiting;
  if (jobs + letters + intake > 0)
    printLine(
      `Not exported (still in the queue): ${counted(jobs, 'job')}, ${counted(letters, 'dead letter')}, ${counted(intake, 'object')} in intake. Run the command again when the jobs are done.`,
    );
}

/** Converts an error of the folder or of the file system to one of the command. */
function asWriteError(error: unknown, dir: string): unknown {
  if (error instanceof SealdexError) return error.field === 'dir' ? new UsageError(error.message) : error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && typeof syscall === 'string'
    ? new MissingPrerequisiteError(`Cannot write to ${dir} (${code}).`)
    : error;
}
