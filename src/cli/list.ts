// `sealdex list`: lists the documents of a corpus, page by page.
import { Command } from 'commander';
import type { ListedDocument } from '../app/app.ts';
import { checkName } from '../runtime/names.ts';
import { approximateSize } from '../runtime/units.ts';
import { withReader } from './with-clients.ts';
import { CORPUS, jsonLines, TENANT, WIDE } from './option-texts.ts';
import { createTablePrinter, type Column } from './table.ts';
import { printJson, printNotice } from './terminal.ts';
import { parsePositiveInt } from './positive-int.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly metadata?: true;
  readonly limit?: number;
  readonly wide?: true;
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
    .option('--wide', WIDE)
    .option('--json', jsonLines('document'))
    .addHelpText(
      'after',
      `
Columns: revision, size (exact bytes with --wide), state, object (SHA-256 of the
document id); with --metadata id and title.

Examples:
  sealdex list --tenant acme --corpus docs --metadata --limit 20
  sealdex list --tenant acme --corpus docs --json`,
    )
    .action(async ({ tenant, corpus, metadata, limit, wide, json: asJson }: Options) => {
      const place = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus') };
      await withReader(async (reader) => {
        const table = createTablePrinter(columnsOf(metadata === true), wide === true);
        let after: string | undefined;
        let left = limit ?? Number.POSITIVE_INFINITY;
        let listed = 0;
        do {
          const size = Math.min(PAGE, left);
          const page = await reader.list({ ...place, after, limit: size, metadata: metadata === true });
          for (const document of page.documents)
            if (asJson) printJson(document);
            else table.add(document);
          table.flush();
          listed += page.documents.length;
          left -= page.documents.length;
          after = page.next;
        } while (after !== undefined && left > 0);
        if (listed === 0) printNotice(`Tenant ${tenant} has no documents in corpus ${corpus}.`);
      });
    });
}

function columnsOf(withMetadata: boolean): Column<ListedDocument>[] {
  const columns: Column<ListedDocument>[] = [
    { title: 'REVISION', text: ({ revision }) => String(revision) },
    { title: 'SIZE', text: ({ bytes }) => approximateSize(bytes), alignsRight: true, only: 'narrow' },
    { title: 'BYTES', text: ({ bytes }) => String(bytes), alignsRight: true, only: 'wide' },
    { title: 'STATE', text: ({ isDeleted, code }) => (isDeleted ? 'deleted' : (code ?? 'stored')) },
  ];
  const object: Column<ListedDocument> = { title: 'OBJECT', text: (listed) => listed.object, cut: 'end' };
  if (!withMetadata) return [...columns, object];
  return [
    ...columns,
    { ...object, only: 'wide' },
    { title: 'ID', text: ({ document }) => document?.id ?? '', cut: 'middle' },
    { title: 'TITLE', text: ({ document }) => document?.title ?? '', cut: 'end' },
  ];
}
