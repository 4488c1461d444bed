// Reads a Dockerfile into its stages. Supports only the syntax used in this repository.

export interface Instruction {
  readonly keyword: string;
  /** The text after the keyword and its flags. */
  readonly words: string;
  /** `--from=build` as `from: 'build'`. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface Stage {
  readonly name: string;
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

/** Arguments before the first stage are filled in at the start of stages, as Docker does. */
export function stagesOf(text: string): Stage[] {
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  const values = new Map<string, string>();
  for (const instruction of instructionsOf(text)) {
    const { keyword, words } = instruction;
    if (keyword === 'ARG' && stages.length === 0) {
      const [name = '', value = ''] = words.split('=');
      values.set(name, value);
    } else if (keyword === 'FROM') {
      const filled = words.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => values.get(name) ?? '');
      const [from = '', name = ''] = filled.split(' AS ');
      stages.push({ name, from, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

const instructionsOf = (text: string): Instruction[] =>
  text
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(instructionOf);

function instructionOf(line: string): Instruction {
  const [keyword = '', ...rest] = line.trim().split(' ');
  const start = rest.findIndex((word) => !word.startsWith('--'));
  const flags = rest.slice(0, start).map((flag): [string, string] => {
    const [name = '', value = ''] = flag.slice(2).split('=');
    return [name, value];
  });
  return { keyword, words: rest.slice(start).join(' '), flags: Object.fromEntries(flags) };
}

/** All instructions of a stage, those of the stages below it first. */
export function makingOf(stage: Stage, stages: readonly Stage[]): Instruction[] {
  const below = stages.find(({ name }) => name === stage.from);
  return [...(below ? makingOf(below, stages) : []), ...stage.instructions];
}

/** The list of an instruction in its JSON form, `CMD ["worker"]`. */
export const listOf = (words: string): string[] => JSON.parse(words.replace(/^CMD /, '')) as string[];
