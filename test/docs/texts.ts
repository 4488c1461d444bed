// Texts that users read: the help of every command, and the string literals of everything that prints, throws or logs.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { buildProgram } from '../../src/cli/cli.ts';
import { codeOf } from '../layers/source-text.ts';
import { ROOT } from './pages.ts';

/** TypeScript files at or below a path, relative to the root. */
export const filesOf = (path: string): string[] =>
  path.endsWith('.ts')
    ? [path]
    : readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(path, name));

/** packages/local-aws imitates the texts of AWS, except for its command. */
export const PRINTING: readonly string[] = ['packages/extract/src', 'packages/local-aws/src/bin.ts', 'src'].flatMap(
  filesOf,
);

/** Message of ioredis that src/runtime/redis-errors.ts compares. */
const FOREIGN = "Stream isn't writeable";

/** Quoted texts with a space, also one beside the value in a template: texts without are names and values. */
export const textsIn = (source: string): string[] =>
  codeOf(source).texts.filter((text) => /\S\s|\s\S/.test(text) && text !== FOREIGN);

const commandsOf = (command: Command): Command[] => [command, ...command.commands.flatMap(commandsOf)];

function helpOf(command: Command): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  return help;
}

/** Name and help of every command. */
export const helps = async (): Promise<(readonly [name: string, help: string])[]> =>
  commandsOf(await buildProgram()).map((command) => [command.name(), helpOf(command)] as const);
