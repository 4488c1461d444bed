// `sealdex read`: one document, decrypted, to standard output.
import { Command } from 'commander';
import { json, out } from './terminal.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly metadata?: true;
  readonly json?: true;
}

export function readCommand(): Command {
  return new Command('read')
    .description('decrypt one stored document')
    .argument('<id>', 'the document id')
    .requiredOption('--tenant <name>', 'the tenant')
    .requiredOption('--corpus <name>', 'the corpus')
    .option('--metadata', 'only what the document says of itself, without reading its text')
    .option('--json', 'the record as NDJSON: the document, then its parts, tables and images')
    .addHelpText(
      'after',
      '\nExamples:\n  sealdex read --tenant acme --corpus docs my-document\n  sealdex read --tenant acme --corpus docs my-document --metadata',
    )
    .action(async (id: string, { tenant, corpus, metadata, json: asJson }: Options) => {
      const { createReader } = await import('../app.ts');
      const reader = await createReader();
      try {
        if (metadata) return print(await reader.metadata({ tenant, corpus, id }), asJson);
        const { document, parts } = await reader.open({ tenant, corpus, id });
        print(document, asJson);
        for await (const part of parts) {
          if (asJson) json(part);
          else out('text' in part ? `\n${part.text}` : `\n${JSON.stringify(part, null, 2)}`);
        }
      } finally {
        await reader[Symbol.asyncDispose]();
      }
    });
}

function print(document: object, asJson: true | undefined): void {
  out(asJson ? JSON.stringify(document) : JSON.stringify(document, null, 2));
}
