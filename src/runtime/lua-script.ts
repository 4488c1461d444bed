// Lua scripts: atomic steps in Redis with named keys and arguments, run by hash.
import { runCommand, type Redis } from './redis.ts';

/** Lua receives each as a string. */
type ScriptValue = string | number | Buffer;

/** One field per name; the field of `...rest` is a list and has no dots. */
type Fields<Names extends readonly string[], Value> = {
  readonly [Name in Names[number] as Name extends `...${infer Rest}` ? Rest : Name]: Name extends `...${string}`
    ? readonly Value[]
    : Value;
};

/** The keys and arguments of a script, by name. */
export type ScriptInput<Keys extends readonly string[], Args extends readonly string[]> = Fields<Keys, string> &
  Fields<Args, ScriptValue>;

export interface Script<
  Keys extends readonly string[] = readonly string[],
  Args extends readonly string[] = readonly string[],
> {
  readonly name: string;
  readonly keys: Keys;
  readonly args: Args;
  /** Includes the declarations of the locals. */
  readonly lua: string;
}

const REST = '...';
const LOCAL = /^[a-z][A-Za-z0-9]*$/;
const LUA_WORDS = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
);

const defined = new Map<string, string>();

const isRest = (name: string): boolean => name.startsWith(REST);
const localOf = (name: string): string => (isRest(name) ? name.slice(REST.length) : name);

/**
 * Defines a script. Every name in `keys` and `args` becomes a Lua local of that name.
 * The last name of each list may be `...rest`: a Lua table of the remaining values. All keys are passed to Redis as keys.
 * `name` is the command of the client, unique in the process. Lua allows at most 200 locals in a script.
 * @throws Error if a local is not camelCase, is a Lua keyword or is used twice, if a `...rest` is not the last, or if another
 * script has the same `name`
 */
export function script<const Keys extends readonly string[], const Args extends readonly string[] = readonly []>({
  name,
  keys,
  args,
  lua,
}: {
  readonly name: string;
  readonly keys: Keys;
  readonly args?: Args;
  readonly lua: string;
}): Script<Keys, Args> {
  const argNames = args ?? ([] as readonly string[] as Args);
  const locals = [...keys, ...argNames].map(localOf);
  for (const [at, local] of locals.entries()) {
    if (!LOCAL.test(local) || LUA_WORDS.has(local)) throw new Error(`script ${name}: ${local} cannot be a local`);
    if (locals.indexOf(local) !== at) throw new Error(`script ${name}: ${local} is used twice`);
  }
  for (const names of [keys, argNames])
    if (names.slice(0, -1).some(isRest)) throw new Error(`script ${name}: ${REST}rest must be the last name`);
  const text = `${localsOf('KEYS', keys)}${localsOf('ARGV', argNames)}${lua}`;
  // The client has one command per name: the second script of a name would run the text of the first.
  if ((defined.get(name) ?? text) !== text) throw new Error(`script ${name}: another script has this name`);
  defined.set(name, text);
  return { name, keys, args: argNames, lua: text };
}

/** A loop copies the rest: `unpack` fails for several thousand values. */
function localsOf(table: 'KEYS' | 'ARGV', names: readonly string[]): string {
  const single = names.filter((name) => !isRest(name));
  const rest = names.find(isRest);
  const values = single.map((_, at) => `${table}[${at + 1}]`);
  const locals = single.length === 0 ? '' : `local ${single.join(', ')} = ${values.join(', ')}\n`;
  if (rest === undefined) return locals;
  const list = localOf(rest);
  if (single.length === 0) return `local ${list} = ${table}\n`;
  return `${locals}local ${list} = {}\nfor at = ${single.length + 1}, #${table} do ${list}[at - ${single.length}] = ${table}[at] end\n`;
}

type Command = (...args: ScriptValue[]) => Promise<unknown>;

/**
 * Runs a script by its hash; its text is sent once per connection.
 * @throws SealdexError `REDIS_FAILED`
 */
export function runScript<Keys extends readonly string[], Args extends readonly string[]>(
  redis: Redis,
  { name, keys, args, lua }: Script<Keys, Args>,
  input: NoInfer<ScriptInput<Keys, Args>>,
): Promise<unknown> {
  const commands = redis as unknown as Record<string, Command | undefined>;
  const command = `sealdex_${name}`;
  if (!commands[command]) redis.defineCommand(command, { lua });
  const keyValues = valuesOf(keys, input);
  return runCommand(commands[command]!.call(redis, keyValues.length, ...keyValues, ...valuesOf(args, input)));
}

function valuesOf(names: readonly string[], input: object): ScriptValue[] {
  const fields = input as Readonly<Record<string, ScriptValue & readonly ScriptValue[]>>;
  return names.flatMap((name) => fields[localOf(name)]!);
}
