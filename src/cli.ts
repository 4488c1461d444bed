// The command line: argv in, exit code out. Each command is a file in src/cli; none is loaded before it is needed.
// Errors are one sentence; exit codes are those of the code table, 64 for wrong usage.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { demoCommand } from './cli/demo.ts';
import { devCommand } from './cli/dev.ts';
import { failure, Interrupted } from './cli/failure.ts';
import { indexCommand } from './cli/index-documents.ts';
import { jobsCommand } from './cli/jobs.ts';
import { listCommand } from './cli/list.ts';
import { readCommand } from './cli/read.ts';
import { statusCommand } from './cli/status.ts';
import { tenantsCommand } from './cli/tenants.ts';
import { workerCommand } from './cli/worker.ts';

const USAGE = 64;

const version = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

export function buildProgram(): Command {
  const program = new Command('sealdex')
    .description("Index documents, encrypted under each tenant's own AWS KMS key.")
    .version(version(), '-V, --version')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES);
  const commands = [
    workerCommand(),
    indexCommand(),
    readCommand(),
    listCommand(),
    tenantsCommand(),
    statusCommand(),
    jobsCommand(),
    devCommand(),
    demoCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of allOf(program)) {
    command.exitOverride().configureOutput({
      outputError: (text, write) =>
        write(`${text.replace(/^error: /, 'sealdex: ').trimEnd()} (sealdex --help shows the commands)\n`),
    });
  }
  return program;
}

const EXAMPLES = `
Examples:
  sealdex demo                                             see it work, nothing else needed
  sealdex dev                                              local Redis, S3 and KMS with a worker
  sealdex tenants put acme --plan pro --key arn:aws:kms:…  make a tenant with a KMS key of its own
  sealdex index --tenant acme --corpus docs --wait docs.ndjson
  sealdex read --tenant acme --corpus docs my-document

Settings come from the environment: REDIS_URL, SEALDEX_BUCKET and SEALDEX_PLATFORM_KEY_ARN must be given.
The README has the tables of settings and codes.`;

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** Runs the command line; the process ends by itself when everything has stopped. */
export async function main(argv: readonly string[]): Promise<void> {
  // `sealdex list | head` closes our output; that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await buildProgram().parseAsync([...argv]);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : USAGE;
      return;
    }
    const { text, exitCode } = failure(error);
    if (!(error instanceof Interrupted)) process.stderr.write(`sealdex: ${text}\n`);
    process.exitCode = exitCode;
  }
}
