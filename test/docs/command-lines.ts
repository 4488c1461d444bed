// Command lines on pages, compared strictly with the existing commands, since readers paste them.
import type { Command, CommanderError } from 'commander';
import { fileOf } from './pages.ts';

/** Every `sealdex ...` of a page, in indented blocks and between backticks, without comments and pipes. */
export function commandLinesOf(page: string): string[] {
  const text = fileOf(page);
  const blocks = text.match(/^ {4,}\S.*$/gm) ?? [];
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].map(([, inside = '']) => inside);
  return [...blocks, ...inline].flatMap((line) => {
    const [, rest] = /^\s*(?:npx )?sealdex (\S.*)$/.exec(line) ?? [];
    return rest === undefined ? [] : [rest.split(/ [#|&;]/)[0]!.trim()];
  });
}

/** Words as a shell splits them, without quotes. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, bare]) => double ?? single ?? bare ?? '');

/**
 * The reason why the line would fail, or undefined: an unknown command or option, an invalid value, too few or too many
 * arguments, a missing required option, a command without help.
 */
export async function faultOf(makeProgram: () => Promise<Command>, line: string): Promise<string | undefined> {
  const program = await makeProgram();
  const [command, path, rest] = leafOf(program, wordsOf(line));
  if (command.commands.length > 0) return `sealdex ${line}: there is no such command`;
  silence(program);
  try {
    const { operands, unknown } = command.parseOptions(rest);
    const least = command.registeredArguments.filter(({ required }) => required).length;
    const most = command.registeredArguments.some(({ variadic }) => variadic)
      ? Infinity
      : command.registeredArguments.length;
    if (unknown.length > 0) return `sealdex ${line}: ${unknown.join(' ')}`;
    if (operands.length < least || operands.length > most) return `sealdex ${line}: ${operands.length} arguments`;
    const missing = command.options.find((each) => each.mandatory && !isGiven(command, each.attributeName()));
    if (missing) return `sealdex ${line}: ${missing.flags} is missing`;
  } catch (error) {
    return `sealdex ${line}: ${(error as Error).message}`;
  }
  const helpProgram = await makeProgram();
  silence(helpProgram);
  const ended = await helpProgram.parseAsync([...path, '--help'], { from: 'user' }).then(
    () => 'it ran',
    (error: CommanderError) => error.code,
  );
  return ended === 'commander.helpDisplayed' ? undefined : `sealdex ${line}: --help ended with ${ended}`;
}

const isGiven = (command: Command, option: string): boolean => command.getOptionValue(option) !== undefined;

/** The deepest command named by the words: the command, the words that lead to it, and the others. */
function leafOf(program: Command, words: readonly string[]): [Command, string[], string[]] {
  let command = program;
  let taken = 0;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (!next) break;
    command = next;
    taken += 1;
  }
  return [command, words.slice(0, taken), words.slice(taken)];
}

function silence(command: Command): void {
  command.configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} });
  command.commands.forEach(silence);
}
