// `sealdex corpora`: the corpora of a tenant.
import { Command } from 'commander';
import { checkName } from '../runtime/names.ts';
import { jsonLines, TENANT } from './option-texts.ts';
import { printJson, printLine, printNotice } from './terminal.ts';
import { withOperator } from './with-clients.ts';

export function corporaCommand(): Command {
  return new Command('corpora')
    .description('inspect corpora')
    .addCommand(listCommand())
    .addHelpText('after', '\nExample:\n  sealdex corpora list --tenant acme');
}

function listCommand(): Command {
  return new Command('list')
    .description('list the corpora of a tenant')
    .requiredOption('--tenant <name>', TENANT)
    .option('--json', jsonLines('corpus'))
    .addHelpText(
      'after',
      `
Prints one name per line. A corpus exists from its first stored document on.
After all its documents were deleted, it is listed until the tombstone sweep.

Examples:
  sealdex corpora list --tenant acme
  sealdex corpora list --tenant acme --json`,
    )
    .action(async ({ tenant, json: asJson }: { tenant: string; json?: true }) => {
      checkName(tenant, 'tenant');
      await withOperator(async (operator) => {
        let isEmpty = true;
        for await (const corpus of operator.corpora(tenant)) {
          isEmpty = false;
          if (asJson) printJson({ tenant, corpus });
          else printLine(corpus);
        }
        if (isEmpty) printNotice(`Tenant ${tenant} has no corpora.`);
      });
    });
}
