// `sealdex read`: one document, decrypted, to standard output.
import { Command } from 'commander';
import { checkName } from '../names.ts';
import { withReader } from './opened.ts';
import { json, jsonText, out, say } from './terminal.ts';

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
      `
Prints what the document says of itself as JSON, then its text, part by part.
When a fault is found on the way, what was printed before it is not the whole document: look at the exit code.

Examples:
  sealdex read --tenant acme --corpus docs my-document
  sealdex read --tenant acme --corpus docs my-document --metadata`,
    )
    .action(async (id: string, { tenant, corpus, metadata, json: asJson }: Options) => {
      const name = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus'), id };
      await withReader(async (reader) => {
        if (metadata) return print(await reader.metadata(name), asJson);
        const { document, parts } = await reader.open(name);
        print(document, asJson);
        try {
          for await (const part of parts) {
            if (asJson) json(part);
            else out('text' in part ? `\n${part.text}` : `\n${jsonText(part, 2)}`);
          }
        } catch (error) {
          say('What was printed is not the whole document.');
          throw error;
        }
      });
    });
}

function print(document: object, asJson: true | undefined): void {
  out(jsonText(document, asJson ? undefined : 2));
}
