// Completion scripts: what bash, zsh and fish source. All find the command among the words before the cursor, then offer the
// choices of the option before the cursor, or the command's options after a hyphen, or else its subcommands, or files.

export interface Word {
  readonly word: string;
  /** Description; empty, if there is none. */
  readonly about: string;
}

interface CompletedOption extends Word {
  readonly takesValue: boolean;
  readonly choices: readonly Word[];
}

export interface CompletedCommand {
  /** The words that lead to it, such as `tenants list`; empty for the program. */
  readonly path: string;
  /** Subcommands, or choices of its argument. */
  readonly words: readonly Word[];
  readonly options: readonly CompletedOption[];
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

const namesOf = (words: readonly Word[]): string => words.map(({ word }) => word).join(' ');

const paths = (commands: readonly CompletedCommand[]): string[] =>
  commands.flatMap(({ path }) => (path === '' ? [] : [path]));

/** `COMMAND OPTION` for each option with a value. */
const valuesOf = (commands: readonly CompletedCommand[]) =>
  commands.flatMap(({ path, options }) =>
    options.flatMap(({ word, takesValue, choices }) => (takesValue ? [{ place: `${path} ${word}`, choices }] : [])),
  );

const otherValues = (commands: readonly CompletedCommand[]): string =>
  valuesOf(commands)
    .flatMap(({ place, choices }) => (choices.length === 0 ? [quoted(place)] : []))
    .join('|');

export function bashScript(commands: readonly CompletedCommand[]): string {
  return `# bash completion of sealdex: source <(sealdex completion bash)
_sealdex() {
  local command='' words='' options='' current=\${COMP_WORDS[COMP_CWORD]} i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${command:+$command }\${COMP_WORDS[i]}" in
      ${paths(commands).map(quoted).join('|')})
        command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$command \${COMP_WORDS[COMP_CWORD - 1]}" in
${valuesOf(commands)
  .filter(({ choices }) => choices.length > 0)
  .map(({ place, choices }) => `    ${quoted(place)}) words=${quoted(namesOf(choices))} ;;\n`)
  .join('')}    ${otherValues(commands)}) ;;
    *)
      case "$command" in
${commands
  .map(({ path, words, options }) => {
    const lists = `words=${quoted(namesOf(words))} options=${quoted(namesOf(options))}`;
    return `        ${quoted(path)}) ${lists} ;;\n`;
  })
  .join('')}      esac
      [[ $current == -* ]] && words=$options ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _sealdex sealdex
`;
}

export function zshScript(commands: readonly CompletedCommand[]): string {
  const listOf = (words: readonly Word[]): string =>
    `(${words.map(({ word, about }) => quoted(about === '' ? word : `${word}:${about}`)).join(' ')})`;
  return `#compdef sealdex
# zsh completion of sealdex, after compinit: source <(sealdex completion zsh)
_sealdex() {
  local command='' i
  local -a choices options
  for ((i = 2; i < CURRENT; i++)); do
    case "\${command:+$command }\${words[i]}" in
      (${paths(commands).map(quoted).join('|')})
        command="\${command:+$command }\${words[i]}" ;;
    esac
  done
  case "$command \${words[CURRENT - 1]}" in
${valuesOf(commands)
  .filter(({ choices }) => choices.length > 0)
  .map(({ place, choices }) => `    (${quoted(place)}) choices=${listOf(choices)} ;;\n`)
  .join('')}    (${otherValues(commands)}) ;;
    (*)
      case "$command" in
${commands
  .map(
    ({ path, words, options }) => `        (${quoted(path)}) choices=${listOf(words)} options=${listOf(options)} ;;\n`,
  )
  .join('')}      esac ;;
  esac
  if [[ \${words[CURRENT]} == -* ]]; then _describe -o sealdex options
  elif ((\${#choices})); then _describe sealdex choices
  else _files; fi
}
compdef _sealdex sealdex
`;
}

export function fishScript(commands: readonly CompletedCommand[]): string {
  const quotedInFish = (text: string): string => `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
  const lineOf = (path: string, ...words: readonly string[]): string =>
    `complete -c sealdex -n ${quotedInFish(`__sealdex_at ${quotedInFish(path)}`)} ${words.join(' ')}\n`;
  const aboutOf = (about: string): string[] => (about === '' ? [] : ['-d', quotedInFish(about)]);
  return `# fish completion of sealdex: sealdex completion fish | source
function __sealdex_at
    set -l command
    for word in (commandline -opc)[2..-1]
        switch (string trim "$command $word")
            case ${paths(commands).map(quotedInFish).join(' ')}
                set -a command $word
        end
    end
    test "$command" = "$argv[1]"
end
${commands
  .flatMap(({ path, words, options }) => [
    ...words.map(({ word, about }) => lineOf(path, '-f', '-a', word, ...aboutOf(about))),
    ...options.map(({ word, about, takesValue, choices }) =>
      lineOf(
        path,
        '-l',
        word.replace(/^--/, ''),
        ...aboutOf(about),
        ...(choices.length > 0 ? ['-x', '-a', quotedInFish(namesOf(choices))] : takesValue ? ['-r'] : []),
      ),
    ),
  ])
  .join('')}`;
}
