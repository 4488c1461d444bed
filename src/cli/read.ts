// `sealdex read`: decrypts one document to standard output.
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { checkName } from '../runtime/names.ts';
import type { DocumentName, Reader } from '../app/app.ts';
import { UsageError } from './failure.ts';
import { withReader } from './with-clients.ts';
import { CORPUS, TENANT } from './option-texts.ts';
import { printJson, jsonText, printLine, printNotice } from './terminal.ts';
import { host } from './host.ts';

interface Options {
  readonly tenant: string;
  readonly corpus: string;
  readonly metadata?: true;
  readonly original?: true;
  readonly json?: true;
}

export function readCommand(): Command {
  return new Command('read')
    .description('decrypt and print a stored document')
    .argument('<id>', 'document id')
    .requiredOption('--tenant <name>', TENANT)
    .requiredOption('--corpus <name>', CORPUS)
    .option('--metadata', 'print the metadata only')
    .option('--original', 'print the uploaded file itself, if the tenant keeps originals')
    .option('--json', 'print the record as NDJSON: the document, then its parts, tables and images')
    .addHelpText(
      'after',
      `
Prints the metadata as JSON, then the text, one part at a time.
If an error occurs while printing, the output is incomplete. Check the exit
code.

Examples:
  sealdex read --tenant acme --corpus docs my-document
  sealdex read --tenant acme --corpus docs my-document --metadata
  sealdex read --tenant acme --corpus docs report.pdf --original > report.pdf`,
    )
    .action(async (id: string, { tenant, corpus, metadata, original, json: asJson }: Options) => {
      if (original && (metadata || asJson))
        throw new UsageError('--original cannot be combined with --metadata or --json.');
      if (original && host().stdout.isTTY)
        throw new UsageError('Refusing to print a binary file to the terminal. Redirect it: > FILE');
      const name = { tenant: checkName(tenant, 'tenant'), corpus: checkName(corpus, 'corpus'), id };
      await withReader(async (reader) => {
        if (original) return writeOriginal(reader, name);
        if (metadata) return print(await reader.metadata(name), asJson);
        const { document, parts } = await reader.open(name);
        print(document, asJson);
        try {
          for await (const part of parts) {
            if (asJson) printJson(part);
            else printLine('text' in part ? `\n${part.text}` : `\n${jsonText(part, 2)}`);
          }
        } catch (error) {
          printNotice('The output is incomplete.');
          throw error;
        }
      });
    });
}

function print(document: object, asJson: true | undefined): void {
  printLine(jsonText(document, asJson ? undefined : 2));
}

async function writeOriginal(reader: Reader, name: DocumentName): Promise<void> {
  const { body } = await reader.original(name);
  try {
    await pipeline(body, host().stdout, { end: false });
  } catch (error) {
    printNotice('The output is incomplete.');
    throw error;
  }
}
