// Command line: runs a command from argv and sets the exit code. Each command is a file in src/cli, loaded when it is needed.
// An error is one sentence. Exit codes are those of the code table, and 64 for wrong usage.
import { existsSync } from 'node:fs';
import { Command, CommanderError, Help } from 'commander';
import { failure, Interrupted, OUTPUT_FAILED, USAGE } from './failure.ts';
import { printNotice } from './terminal.ts';
import { withAuditContext, type AuditContext } from '../runtime/audit-log.ts';
import { SealdexError } from '../runtime/errors.ts';
import { VERSION } from '../runtime/version.ts';
import { host, type Output } from './host.ts';

const EXAMPLES = `
Examples:
  sealdex demo  # a demonstration on local services
  sealdex dev   # a local Redis, S3, KMS and worker
  sealdex tenants put acme --plan pro --when-key-shut park --key arn:aws:kms:…
  sealdex index --tenant acme --corpus docs --wait docs.ndjson
  sealdex read --tenant acme --corpus docs my-document

Settings are environment variables. REDIS_URL, SEALDEX_BUCKET and
SEALDEX_PLATFORM_KEY_ARN are required. All settings are in docs/settings.md,
all codes in docs/codes.md.`;

/** The help omits aliases, so that it has one name for each command. */
const help = new Help();

const aliasOf = (command: Command): string => (command.alias() === undefined ? '' : `|${command.alias()}`);

const WITHOUT_ALIASES: Partial<Help> = {
  subcommandTerm: (command) => help.subcommandTerm(command).replace(aliasOf(command), ''),
  commandUsage: (command) => help.commandUsage(command).replace(aliasOf(command), ''),
};

const columnsOf = ({ isTTY, columns }: Output): number => (isTTY ? columns : undefined) ?? 80;

const nameOf = (command: Command): string =>
  command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();

/** `error: unknown option '--jsn'\n(Did you mean --json?)` -> `sealdex: unknown option '--jsn' (did you mean --json?).` */
const usageSentence = (text: string): string =>
  `sealdex: ${text
    .replace(/^error: /, '')
    .trim()
    .replace(/\n\(Did you/, ' (did you')
    .replace(/\.?$/, '.')}`;

/** A required option may be missing because it is misspelled; commander checks for unknown options later. @throws CommanderError */
function rejectUnknownOption(command: Command): void {
  const [unknown] = command.parseOptions(command.args).unknown;
  if (unknown !== undefined) (command as unknown as { unknownOption(flag: string): never }).unknownOption(unknown);
}

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  worker: async () => (await import('./worker.ts')).workerCommand(),
  index: async () => (await import('./index-documents.ts')).indexCommand(),
  upload: async () => (await import('./upload.ts')).uploadCommand(),
  extract: async () => (await import('./extract.ts')).extractCommand(),
  delete: async () => (await import('./delete.ts')).deleteCommand(),
  read: async () => (await import('./read.ts')).readCommand(),
  list: async () => (await import('./list.ts')).listCommand(),
  corpora: async () => (await import('./corpora.ts')).corporaCommand(),
  tenants: async () => (await import('./tenants.ts')).tenantsCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  policy: async () => (await import('./policy.ts')).policyCommand(),
  parked: async () => (await import('./parked.ts')).parkedCommand(),
  status: async () => (await import('./status.ts')).statusCommand(),
  jobs: async () => (await import('./jobs.ts')).jobsCommand(),
  dead: async () => (await import('./dead.ts')).deadCommand(),
  intake: async () => (await import('./intake.ts')).intakeCommand(),
  recover: async () => (await import('./recover.ts')).recoverCommand(),
  audit: async () => (await import('./audit.ts')).auditCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  dev: async () => (await import('./dev/dev.ts')).devCommand(),
  demo: async () => (await import('./demo.ts')).demoCommand(),
  completion: async () => (await import('./completion.ts')).completionCommand(),
};

/** The program with these commands; by default with all, whose files take longer to load than most commands run. */
export async function buildProgram(names: readonly string[] = Object.keys(COMMANDS)): Promise<Command> {
  const program = new Command('sealdex')
    .description("Index documents, encrypted under each tenant's own AWS KMS key")
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText('after', EXAMPLES);
  for (const command of await Promise.all(names.map((name) => COMMANDS[name]!()))) program.addCommand(command);
  for (const command of allOf(program)) {
    command
      .exitOverride()
      .configureHelp(WITHOUT_ALIASES)
      .helpOption('-h, --help', 'show help and examples')
      .helpCommand(command === program)
      .configureOutput({
        writeOut: (text) => host().stdout.write(text),
        writeErr: (text) => host().stderr.write(text),
        getOutHelpWidth: () => columnsOf(host().stdout),
        getErrHelpWidth: () => columnsOf(host().stderr),
        outputError(text, write) {
          if (text.startsWith('error: required option ')) rejectUnknownOption(command);
          write(`${usageSentence(text)} See: ${nameOf(command)} --help\n`);
        },
      });
  }
  return program;
}

function allOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allOf)];
}

/** Runs the command line of this process, which ends when everything has stopped. */
export async function main(argv: readonly string[]): Promise<void> {
  guardOutput();
  await runCommandLine(argv.slice(2));
}

/** The commands to load: the one that runs, none for the version, all (undefined) for help, suggestions and completion. */
function neededBy([first = '', ...rest]: readonly string[]): readonly string[] | undefined {
  if (Object.hasOwn(COMMANDS, first) && first !== 'completion') return [first];
  return rest.length === 0 && (first === '--version' || first === '-V') ? [] : undefined;
}

/** Runs one command in its host: prints there, and sets its exit code. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  try {
    const program = await buildProgram(neededBy(args));
    await withAuditContext(askerOf(program, args), () => program.parseAsync([...args], { from: 'user' }));
  } catch (error) {
    if (error instanceof CommanderError) {
      host().exitCode = error.exitCode === 0 ? 0 : USAGE;
      return;
    }
    const { text, exitCode } = failure(error);
    if (!(error instanceof Interrupted)) printNotice(`sealdex: ${text}`);
    if (error instanceof SealdexError && error.code === 'CONFIG_INVALID') sayWhereSettingsAre();
    host().exitCode = exitCode;
  }
}

/** Commands that run a worker, whose KMS calls are not caused by the command. */
const SERVING: ReadonlySet<string> = new Set(['worker', 'dev', 'demo']);

/** Audit context of a command: its KMS calls and changes are recorded with its name. A worker sets its own context. */
function askerOf(program: Command, args: readonly string[]): AuditContext {
  let command = program;
  for (const word of args) {
    const next = command.commands.find((sub) => sub.name() === word || sub.aliases().includes(word));
    if (!next) break;
    command = next;
  }
  return command === program || SERVING.has(command.name())
    ? {}
    : { command: nameOf(command).slice(program.name().length + 1) };
}

/** A closed pipe, as with `sealdex list | head`, is not an error; a full disk is one. */
function guardOutput(): void {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(0);
    printNotice(`sealdex: Cannot write to standard output (${code}).`);
    process.exit(OUTPUT_FAILED);
  });
  process.stderr.on('error', () => {});
}

/** If settings are missing, prints how to get them: from the running `sealdex dev`, or by starting it. */
function sayWhereSettingsAre(): void {
  if (host().env['SEALDEX_BUCKET'] !== undefined) return;
  if (existsSync('.sealdex/env')) printNotice('To use the settings of the running sealdex dev: source .sealdex/env');
  else printNotice('To try sealdex without AWS: sealdex dev');
}
