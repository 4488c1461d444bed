// `sealdex list`: the documents of a corpus, page by page.
import { Command, InvalidArgumentError } from 'commander';
import type { ListedDocument } from '../app.ts';
import { json, out } from './terminal.ts';

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
    .requiredOption('--tenant <name>', 'the tenant')
    .requiredOption('--corpus <name>', 'the corpus')
    .option('--metadata', 'decrypt each id and title too: a read for every line')
    .option('--limit <n>', 'end after this many documents', whole)
    .option('--json', 'NDJSON: one line for each document')
    .addHelpText(
      'after',
      '\nColumns: revision, bytes, object (sha256 of the id); with --metadata also id and title.\n\nExample:\n  sealdex list --tenant acme --corpus docs --metadata --limit 20',
    )
    .action(async ({ tenant, corpus, metadata, limit = Number.POSITIVE_INFINITY, json: asJson }: Options) => {
      const { createReader } = await import('../app.ts');
      const reader = await createReader();
      try {
        let after: string | undefined;
        let left = limit;
        do {
          const page = await reader.list({
            tenant,
            corpus,
            after,
            limit: Math.min(PAGE, left),
            metadata: metadata === true,
          });
          for (const listed of page.documents)
            if (asJson) json(listed);
            else out(lineOf(listed));
          left -= page.documents.length;
          after = page.next;
        } while (after !== undefined && left > 0);
      } finally {
        await reader[Symbol.asyncDispose]();
      }
    });
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Give a whole number from 1.');
  return Number(text);
}

function lineOf({ revision, bytes, object, isDeleted, document, code }: ListedDocument): string {
  const about = isDeleted
    ? 'deleted'
    : code !== undefined
      ? code
      : document === undefined
        ? ''
        : `${document.id}  ${document.title ?? ''}`;
  return `${revision}  ${String(bytes).padStart(9)}  ${object}  ${about}`.trimEnd();
}
