// `sealdex list`: the documents of a corpus, page by page.
import { Command } from 'commander';
import type { ListedDocument } from '../app/app.ts';
import { checkName } from '../runtime/names.ts';
import { withReader } from './with-clients.ts';
import { CORPUS, jsonLines, TENANT } from './option-texts.ts';
import { printJson, oneLine, printLine, printNotice } from './terminal.ts';
import { parsePositiveInt } from './positive-int.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly metadata?: true;
  readonly limit?: number;
  readonly json?: true;
}

const PAGE = 100;

export function listCommand(): Command {
  return new Command('list')
    .description('list the documents of a corpus')
    .requiredOption('--tenant <name>', TENANT)
    .requiredOption('--corpus <name>', CORPUS)
    .option('--metadata', 'also decrypt each id and title (one S3 read per document)')
    .option('--limit <n>', 'maximum number of documents', parsePositiveInt)
    .option('--json', jsonLines('document'))
    .addHelpText(
      'after',
      `
Columns: revision, bytes, object (SHA-256 of the document id); with --metadata
also id and title.

Examples:
  sealdex list --tenant acme --corpus docs --metadata --limit 20
  sealdex list --tenant acme --corpus docs --json`,
    )
    .action(async ({ tenant, corpus, metadata, limit, json: asJson }: Options) => {
      const place = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus') };
      await withReader(async (reader) => {
        let after: string | undefined;
        let left = limit ?? Number.POSITIVE_INFINITY;
        let listed = 0;
        do {
          const size = Math.min(PAGE, left);
          const page = await reader.list({ ...place, after, limit: size, metadata: metadata === true });
          for (const document of page.documents)
            if (asJson) printJson(document);
            else printLine(lineOf(document));
          listed += page.documents.length;
          left -= page.documents.length;
          after = page.next;
        } while (after !== undefined && left > 0);
        if (listed === 0) printNotice(`Tenant ${tenant} has no documents in corpus ${corpus}.`);
      });
    });
}

function lineOf({ revision, bytes, object, isDeleted, document, code }: ListedDocument): string {
  const about = isDeleted
    ? 'deleted'
    : code !== undefined
      ? code
      : document === undefined
        ? ''
        : oneLine(`${document.id}  ${document.title ?? ''}`);
  return `${revision}  ${String(bytes).padStart(9)}  ${object}  ${about}`.trimEnd();
}
