// `sealdex completion`: a script that completes commands, options and choices in a shell, made from the commands themselves.
import { Argument, Command } from 'commander';
import { bashScript, fishScript, zshScript, type CompletedCommand, type Word } from './completion-scripts.ts';
import { host } from './host.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

const bare = (word: string): Word => ({ word, about: '' });

function completedFrom(command: Command, path: readonly string[]): CompletedCommand[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command).map((each) => ({ word: each.name(), about: each.description() }));
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices.map(bare));
  const options = help.visibleOptions(command).map((option) => ({
    word: option.long ?? option.flags,
    about: option.description,
    takesValue: option.required || option.optional,
    choices: (option.argChoices ?? []).map(bare),
  }));
  return [
    { path: path.join(' '), words: [...below, ...choices], options },
    ...command.commands.flatMap((each) => completedFrom(each, [...path, each.name()])),
  ];
}

/** The program, whose path is empty, and all commands below it. */
export const commandsBelow = (program: Command): CompletedCommand[] => completedFrom(program, []);

export function completionCommand(): Command {
  return new Command('completion')
    .description('print a shell completion script')
    .addArgument(new Argument('<shell>', 'shell to print it for').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
Completes commands, options and their choices. Print it again after an update.

  bash  in ~/.bashrc:                source <(sealdex completion bash)
  zsh   in ~/.zshrc after compinit:  source <(sealdex completion zsh)
  fish  in config.fish:              sealdex completion fish | source

Example:
  sealdex completion bash > ~/.local/share/bash-completion/completions/sealdex`,
    )
    .action((shell: keyof typeof SCRIPTS, _: object, { parent }: Command) => {
      host().stdout.write(SCRIPTS[shell](commandsBelow(parent!)));
    });
}
